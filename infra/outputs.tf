output "urls" {
  description = "Address of each service, for those who may call it."
  value       = local.url
}

output "page" {
  description = "How people reach the page."
  value = var.load_balancer == null ? join("\n", [
    "gcloud run services proxy api --project ${var.project_id} --region ${var.region} --port 8000 &",
    "gcloud run services proxy relay --project ${var.project_id} --region ${var.region} --port 8001 &",
    "open http://localhost:8001/",
  ]) : "https://${var.load_balancer.domain}/"
}

output "load_balancer_address" {
  description = "Address that the domain's A record names; null without a load balancer."
  value       = one(google_compute_global_address.main[*].address)
}

output "registry" {
  description = "Where images are pushed to."
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.main[var.region].repository_id}"
}

output "secrets" {
  description = "Secrets that need a version before the functions start."
  value       = sort([for secret in google_secret_manager_secret.main : secret.secret_id])
}

output "kafka_service_accounts" {
  description = "Confluent service account of each function, to make its API key for."
  value       = { for name, account in confluent_service_account.main : name => account.id }
}

output "kafka" {
  description = "Ids and addresses of the Kafka cluster."
  value       = local.kafka
}

output "build_service_account_id" {
  description = "Service account that Cloud Build deploys as."
  value       = google_service_account.build.name
}

output "variables" {
  description = "Names of the environment variables that each function is given."
  value = merge(
    {
      api       = module.api.variables
      analyzer  = module.analyzer.variables
      simulator = module.simulator.variables
      responder = module.responder.variables
      relay     = module.relay.variables
    },
    length(module.analyzer_worker) == 0 ? {} : { analyzer-worker = module.analyzer_worker[0].variables },
  )
}
