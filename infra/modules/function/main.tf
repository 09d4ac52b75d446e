# One function: a Cloud Run service (or worker pool), the service account it runs as, and who may call it.

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

locals {
  email = var.service_account == null ? google_service_account.main[0].email : var.service_account.email
  # A secret that is not there yet would let the first revision fail; these grants come first.
  environment = merge(
    { for name, value in var.environment : name => { value = value, secret = null } },
    { for name, secret in var.secrets : name => { value = null, secret = secret } },
  )
}

resource "google_service_account" "main" {
  count = var.service_account == null ? 1 : 0

  project      = var.project_id
  account_id   = "threatstream-${var.name}"
  display_name = "ThreatStream ${var.name}"
}

resource "google_project_iam_member" "main" {
  for_each = var.roles

  project = var.project_id
  role    = each.value
  member  = "serviceAccount:${local.email}"
}

resource "google_secret_manager_secret_iam_member" "main" {
  for_each = var.service_account == null ? var.secrets : {}

  project   = var.project_id
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${local.email}"
}

resource "google_cloud_run_v2_service" "main" {
  count = var.kind == "service" ? 1 : 0

  project             = var.project_id
  location            = var.region
  name                = var.name
  ingress             = var.ingress
  labels              = var.labels
  deletion_protection = var.deletion_protection

  scaling {
    min_instance_count = var.min_instances
  }

  template {
    service_account                  = local.email
    timeout                          = "${var.timeout_seconds}s"
    max_instance_request_concurrency = var.concurrency
    session_affinity                 = var.session_affinity
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    labels                           = var.labels

    scaling {
      max_instance_count = var.max_instances
    }

    containers {
      image = var.image

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = var.cpu
          memory = "${var.memory_mib}Mi"
        }
        cpu_idle          = !var.cpu_always_on
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value.value

          dynamic "value_source" {
            for_each = env.value.secret == null ? [] : [env.value.secret]
            content {
              secret_key_ref {
                secret  = value_source.value
                version = "latest"
              }
            }
          }
        }
      }

      # The port listens before anything else is reached.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 20
        http_get {
          path = "/healthz"
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/healthz"
        }
      }
    }
  }

  lifecycle {
    # Cloud Build deploys by digest and moves the traffic; Terraform owns everything else.
    ignore_changes = [client, client_version, template[0].containers[0].image, template[0].revision, traffic]
  }

  depends_on = [google_project_iam_member.main, google_secret_manager_secret_iam_member.main]
}

resource "google_cloud_run_v2_worker_pool" "main" {
  count = var.kind == "worker_pool" ? 1 : 0

  project             = var.project_id
  location            = var.region
  name                = var.name
  labels              = var.labels
  deletion_protection = var.deletion_protection

  scaling {
    scaling_mode          = "MANUAL"
    manual_instance_count = var.min_instances
  }

  template {
    service_account = local.email
    labels          = var.labels

    containers {
      image = var.image

      resources {
        limits = {
          cpu    = var.cpu
          memory = "${var.memory_mib}Mi"
        }
      }

      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value.value

          dynamic "value_source" {
            for_each = env.value.secret == null ? [] : [env.value.secret]
            content {
              secret_key_ref {
                secret  = value_source.value
                version = "latest"
              }
            }
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [client, client_version, template[0].containers[0].image, template[0].revision]
  }

  depends_on = [google_project_iam_member.main, google_secret_manager_secret_iam_member.main]
}

resource "google_cloud_run_v2_service_iam_member" "main" {
  for_each = var.kind == "service" ? var.invokers : {}

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.main[0].name
  role     = "roles/run.invoker"
  member   = each.value
}
