# Secrets, without their versions: those are added beside Terraform (README.md, step 4), so that the state holds none.

locals {
  # The functions that have to do with the log; the relay follows the store alone.
  logging = ["api", "analyzer", "simulator", "responder"]
  secrets = toset(concat(
    [for name in local.logging : "${name}-confluent-key"],
    [for name in local.logging : "${name}-confluent-secret"],
    ["simulation-key", "ticket-key", "webhook-secret"],
    var.gemini.access == "key" ? ["gemini-api-key"] : [],
  ))
}

resource "google_secret_manager_secret" "main" {
  for_each = local.secrets

  project   = var.project_id
  secret_id = "threatstream-${each.value}"
  labels    = local.labels
  # Gemini's goes when the option does, and AI Studio gives out another key.
  deletion_protection = var.deletion_protection && each.value != "gemini-api-key"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.main]
}
