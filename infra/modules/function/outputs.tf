output "service_account_email" {
  description = "Service account that the function runs as."
  value       = local.email
}

output "service_account_member" {
  description = "The same, as a member of a policy."
  value       = "serviceAccount:${local.email}"
}

output "name" {
  description = "Name of the service or worker pool."
  value       = one(concat(google_cloud_run_v2_service.main[*].name, google_cloud_run_v2_worker_pool.main[*].name))
}

output "variables" {
  description = "Names of the environment variables that are set."
  value       = sort(keys(local.environment))
}
