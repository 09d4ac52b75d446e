# Who acts, and what each may do. Functions have a service account each (modules/function); these act on their behalf.

locals {
  services = [
    "artifactregistry.googleapis.com", "cloudbuild.googleapis.com", "cloudscheduler.googleapis.com",
    "compute.googleapis.com", "firebaserules.googleapis.com", "firestore.googleapis.com", "iam.googleapis.com",
    "logging.googleapis.com", "monitoring.googleapis.com", "pubsub.googleapis.com", "run.googleapis.com",
    "secretmanager.googleapis.com",
  ]

  # Those that an option needs beside them.
  optional_services = concat(
    var.budget == null ? [] : ["billingbudgets.googleapis.com"],
    var.gemini.access == "vertex" ? ["aiplatform.googleapis.com"] : [],
  )

  # On the project; what a function may do with one topic is in messaging.tf, with one secret in secrets.tf.
  project_roles = {
    api       = concat(["roles/datastore.user"], var.gemini.access == "vertex" ? ["roles/aiplatform.user"] : [])
    analyzer  = ["roles/datastore.user"]
    simulator = ["roles/datastore.user"]
    responder = ["roles/datastore.user"]
    relay     = ["roles/datastore.user"]
  }
}

resource "google_project_service" "main" {
  for_each = toset(concat(local.services, local.optional_services))

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

# Pub/Sub shows itself to the functions as this one.
resource "google_service_account" "push" {
  project      = var.project_id
  account_id   = "threatstream-push"
  display_name = "ThreatStream: Pub/Sub pushes"
}

# Cloud Scheduler as this one.
resource "google_service_account" "scheduler" {
  project      = var.project_id
  account_id   = "threatstream-scheduler"
  display_name = "ThreatStream: Cloud Scheduler"
}

# Confluent's sink connector as this one; without the trigger push it has no key and calls nobody.
resource "google_service_account" "connector" {
  project      = var.project_id
  account_id   = "threatstream-connector"
  display_name = "ThreatStream: Confluent's sink connector"
}

# Cloud Build deploys as this one.
resource "google_service_account" "build" {
  project      = var.project_id
  account_id   = "threatstream-build"
  display_name = "ThreatStream: Cloud Build"
}

resource "google_project_iam_member" "build" {
  for_each = toset(["roles/run.developer", "roles/logging.logWriter"])

  project = var.project_id
  role    = each.value
  member  = google_service_account.build.member
}

# A revision runs as its function's service account, which whoever deploys it must be allowed to use.
resource "google_service_account_iam_member" "build" {
  for_each = {
    api       = module.api.service_account_email
    analyzer  = module.analyzer.service_account_email
    simulator = module.simulator.service_account_email
    responder = module.responder.service_account_email
    relay     = module.relay.service_account_email
  }

  service_account_id = "projects/${var.project_id}/serviceAccounts/${each.value}"
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.build.member
}

# The smoke test of a deployment calls the new revision, with a token that Cloud Build makes out for its own account.
resource "google_service_account_iam_member" "build_token" {
  service_account_id = google_service_account.build.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = google_service_account.build.member
}

resource "google_cloud_run_v2_service_iam_member" "build" {
  for_each = toset(["api", "analyzer", "simulator", "responder", "relay"])

  project  = var.project_id
  location = var.region
  name     = each.value
  role     = "roles/run.invoker"
  member   = google_service_account.build.member

  depends_on = [module.api, module.analyzer, module.simulator, module.responder, module.relay]
}
