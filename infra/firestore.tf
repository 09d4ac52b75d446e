# The store: the database, what it indexes, what it forgets, and who may not read it.

locals {
  # In the format of Firebase's own tools. A test holds it against the queries of the code.
  firestore = jsondecode(file("${path.module}/firestore.indexes.json"))
}

resource "google_firestore_database" "main" {
  #checkov:skip=CKV2_GCP_31:Google's own keys encrypt the database
  project                           = var.project_id
  name                              = "(default)"
  location_id                       = coalesce(var.firestore_location, var.region)
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"

  depends_on = [google_project_service.main]
}

resource "google_firestore_index" "main" {
  for_each = {
    for index in local.firestore.indexes :
    "${index.collectionGroup}-${join("-", [for field in index.fields : field.fieldPath])}" => index
  }

  project     = var.project_id
  database    = google_firestore_database.main.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.fieldPath
      order        = try(fields.value.order, null)
      array_config = try(fields.value.arrayConfig, null)
    }
  }
}

# What is not asked for by itself is not indexed by itself: it would cost each write, and a time that only grows would be an index
# that is written at its end alone. What has a time to live is deleted by Firestore up to a day after it.
resource "google_firestore_field" "main" {
  for_each = {
    for field in local.firestore.fieldOverrides : "${field.collectionGroup}-${field.fieldPath}" => field
  }

  project    = var.project_id
  database   = google_firestore_database.main.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes
      content {
        order       = indexes.value.order
        query_scope = indexes.value.queryScope
      }
    }
  }

  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [true] : []
    content {}
  }
}

# The functions come in by their service accounts. Nobody comes in as a client of Firebase.
resource "google_firebaserules_ruleset" "main" {
  project = var.project_id

  source {
    files {
      name    = "firestore.rules"
      content = "rules_version = '2'; service cloud.firestore { match /databases/{database}/documents { match /{document=**} { allow read, write: if false; } } }"
    }
  }

  depends_on = [google_firestore_database.main]
}

resource "google_firebaserules_release" "main" {
  project      = var.project_id
  name         = "cloud.firestore"
  ruleset_name = google_firebaserules_ruleset.main.name
}
