variable "name" {
  description = "Name of the function: of its service, and after threatstream- of the service account it runs as."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}[a-z0-9]$", var.name))
    error_message = "A name has 2 to 17 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "kind" {
  description = "A service answers requests and scales to zero; a worker_pool never stops and answers nobody."
  type        = string
  default     = "service"

  validation {
    condition     = contains(["service", "worker_pool"], var.kind)
    error_message = "A kind is service or worker_pool."
  }
}

variable "project_id" {
  description = "Project that everything lies in."
  type        = string
}

variable "region" {
  description = "Region that the function runs in."
  type        = string
}

variable "image" {
  description = "Container image, by digest. Deployments change it beside Terraform, which then leaves it alone."
  type        = string
}

variable "service_account" {
  description = "Service account to run as, when it is another function's; null makes one."
  type        = object({ email = string })
  default     = null
}

variable "roles" {
  description = "Roles that the function's service account has on the project."
  type        = set(string)
  default     = []
}

variable "environment" {
  description = "Environment variables that are no secrets."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Environment variables that are: name of the variable to id of the secret."
  type        = map(string)
  default     = {}
}

variable "invokers" {
  description = "Members that may call the service, by a key that is known before anything is made."
  type        = map(string)
  default     = {}
}

variable "cpu" {
  description = "CPUs of one instance."
  type        = string
  default     = "1"
}

variable "memory_mib" {
  description = "Memory of one instance, in MiB."
  type        = number
  default     = 512
}

variable "cpu_always_on" {
  description = "Whether an instance has its CPU between requests too."
  type        = bool
  default     = false
}

variable "min_instances" {
  description = "Instances that stand ready."
  type        = number
  default     = 0
}

variable "max_instances" {
  description = "Instances at most."
  type        = number
  default     = 10
}

variable "concurrency" {
  description = "Requests that one instance answers at once."
  type        = number
  default     = 80
}

variable "timeout_seconds" {
  description = "Time that a request may take, in seconds."
  type        = number
  default     = 300
}

variable "session_affinity" {
  description = "Whether a client comes back to the instance that it had."
  type        = bool
  default     = false
}

variable "ingress" {
  description = "Where requests may come from."
  type        = string
  default     = "INGRESS_TRAFFIC_ALL"

  validation {
    condition = contains([
      "INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
    ], var.ingress)
    error_message = "Ingress is INGRESS_TRAFFIC_ALL, INGRESS_TRAFFIC_INTERNAL_ONLY or INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER."
  }
}

variable "labels" {
  description = "Labels of what is made."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to destroy the function."
  type        = bool
  default     = true
}
