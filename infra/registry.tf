# Where the images lie, and which of them are let go.

resource "google_artifact_registry_repository" "main" {
  #checkov:skip=CKV_GCP_84:Google's own keys encrypt the images, which hold no secret
  for_each = toset(compact([var.region, var.image_replica_region]))

  project       = var.project_id
  location      = each.value
  repository_id = "threatstream"
  description   = "Images of the functions"
  format        = "DOCKER"
  labels        = local.labels

  docker_config {
    immutable_tags = true
  }

  vulnerability_scanning_config {
    enablement_config = "INHERITED"
  }

  cleanup_policy_dry_run = false

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = 20
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      tag_state  = "ANY"
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.main]
}

# Layers of earlier builds, under one tag that each build moves.
resource "google_artifact_registry_repository" "cache" {
  #checkov:skip=CKV_GCP_84:Google's own keys encrypt the layers, which hold no secret
  project       = var.project_id
  location      = var.region
  repository_id = "threatstream-cache"
  description   = "Layers of earlier builds"
  format        = "DOCKER"
  labels        = local.labels

  cleanup_policy_dry_run = false

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "604800s"
    }
  }

  depends_on = [google_project_service.main]
}

resource "google_artifact_registry_repository_iam_member" "cache" {
  project    = var.project_id
  location   = var.region
  repository = google_artifact_registry_repository.cache.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  for_each = google_artifact_registry_repository.main

  project    = var.project_id
  location   = each.value.location
  repository = each.value.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}
