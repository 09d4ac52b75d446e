# The clock: the safety net of the analyzer, interrupted playbooks and the minute's metrics each minute, and the attacks that prove
# detection.

locals {
  jobs = merge(
    {
      drain = {
        schedule = "* * * * *"
        uri      = "${local.url["analyzer"]}/drain"
        audience = local.url["analyzer"]
        body     = null
        seconds  = 560
      }
      sweep = {
        schedule = "* * * * *"
        uri      = "${local.url["responder"]}/tasks/sweep"
        audience = local.url["responder"]
        body     = null
        seconds  = 60
      }
    },
    {
      for name, simulation in var.simulations : "simulation-${name}" => {
        schedule = simulation.schedule
        uri      = "${local.url["simulator"]}/tick"
        audience = local.url["simulator"]
        body = jsonencode({
          attack_vector    = simulation.attack_vector
          duration_seconds = simulation.duration_seconds
          intensity        = simulation.intensity
          target_eps       = simulation.target_eps
        })
        seconds = 60
      }
    },
  )
}

resource "google_cloud_scheduler_job" "main" {
  for_each = local.jobs

  project          = var.project_id
  region           = var.region
  name             = "threatstream-${each.key}"
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${each.value.seconds}s"

  # The next minute is the retry of the minute's jobs.
  retry_config {
    retry_count = each.value.body == null ? 0 : 3
  }

  http_target {
    http_method = "POST"
    uri         = each.value.uri
    headers     = each.value.body == null ? {} : { "Content-Type" = "application/json" }
    body        = each.value.body == null ? null : base64encode(each.value.body)

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = each.value.audience
    }
  }

  depends_on = [google_project_service.main, module.analyzer, module.responder, module.simulator]
}
