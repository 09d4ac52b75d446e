# Secrets, without their versions: those are added beside Terraform (README.md, step 4), so that the state holds none.

locals {
  functions = ["api", "analyzer", "simulator", "responder", "relay"]
  secrets = toset(concat(
    [for name in local.functions : "${name}-confluent-key"],
    [for name in local.functions : "${name}-confluent-secret"],
    ["simulation-key", "ticket-key", "webhook-secret"],
  ))
}

resource "google_secret_manager_secret" "main" {
  for_each = local.secrets

  project             = var.project_id
  secret_id           = "threatstream-${each.value}"
  labels              = local.labels
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.main]
}
