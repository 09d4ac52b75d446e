variable "project_id" {
  description = "Google Cloud project that the platform lies in; it exists, and has a billing account."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region of the services, of the images and, unless told otherwise, of the data."
  type        = string
  default     = "us-central1"
}

variable "firestore_location" {
  description = "Location of the Firestore database: a region or a multi-region such as nam5; it can never be changed. Null: the region."
  type        = string
  default     = null
}

variable "images" {
  description = "Container image of each function, by digest, for the first deployment; Cloud Build deploys later ones."
  type = object({
    api       = string
    analyzer  = string
    simulator = string
    responder = string
    relay     = string
  })

  validation {
    condition     = alltrue([for image in values(var.images) : can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "Images are named by digest: HOST/PROJECT/REPOSITORY/NAME@sha256:…"
  }
}

variable "analyzer_trigger" {
  description = "What makes the analyzer work: drain (woken on ingest, scales to zero), push (Confluent's sink connector) or worker (a pool that never stops)."
  type        = string
  default     = "drain"

  validation {
    condition     = contains(["drain", "push", "worker"], var.analyzer_trigger)
    error_message = "The trigger is drain, push or worker."
  }
}

variable "worker_count" {
  description = "Instances of the worker pool, with the trigger worker."
  type        = number
  default     = 1

  validation {
    condition     = var.worker_count >= 1 && floor(var.worker_count) == var.worker_count
    error_message = "A worker pool has at least one instance."
  }
}

variable "max_instances" {
  description = "Instances of each function at most. The relay has one: it is what holds the live sockets."
  type = object({
    api       = optional(number, 10)
    analyzer  = optional(number, 4)
    simulator = optional(number, 1)
    responder = optional(number, 4)
  })
  default = {}
}

variable "invokers" {
  description = "Who may call the api and the relay beside the platform itself, as members: user:…, group:…, serviceAccount:…. Nobody else can; allUsers is refused."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):", member))])
    error_message = "An invoker is user:…, group:…, serviceAccount:…, domain:…, principal:… or principalSet:…; nothing is public."
  }
}

variable "confluent" {
  description = "Kafka on Confluent Cloud: a cluster that is created (availability LOW or HIGH), or an existing one by its ids. The type decides how access is granted: BASIC by access lists, STANDARD (and whatever is larger) by roles."
  type = object({
    create         = optional(bool, true)
    type           = optional(string, "BASIC")
    availability   = optional(string, "LOW")
    environment_id = optional(string)
    cluster_id     = optional(string)
  })
  default = {}

  validation {
    condition     = contains(["BASIC", "STANDARD"], var.confluent.type)
    error_message = "The type is BASIC or STANDARD."
  }

  validation {
    condition     = contains(["LOW", "HIGH"], var.confluent.availability)
    error_message = "The availability is LOW (one zone) or HIGH (several)."
  }

  validation {
    condition     = var.confluent.create == (var.confluent.environment_id == null && var.confluent.cluster_id == null)
    error_message = "Give environment_id and cluster_id with create = false, and neither with create = true."
  }

  validation {
    condition     = var.confluent.create || (var.confluent.environment_id != null && var.confluent.cluster_id != null)
    error_message = "An existing cluster is named by environment_id and cluster_id."
  }
}

variable "partitions_count" {
  description = "Partitions of the topics of raw logs and of matches; fixed for their life."
  type        = number
  default     = 4

  validation {
    condition     = var.partitions_count >= 1 && var.partitions_count <= 1024
    error_message = "A topic has 1 to 1024 partitions."
  }
}

variable "log_retention_days" {
  description = "Days that Kafka keeps events and matches. What is older than an analyzer that stands still is lost, and is counted as such."
  type        = number
  default     = 7

  validation {
    condition     = var.log_retention_days >= 1
    error_message = "Keep at least a day."
  }
}

variable "simulations" {
  description = "Attacks that Cloud Scheduler runs against the platform, by name: when (cron, UTC) and what."
  type = map(object({
    schedule         = string
    attack_vector    = string
    duration_seconds = optional(number, 60)
    intensity        = optional(string, "LOW")
    target_eps       = optional(number, 5)
  }))
  default = {
    brute-force-daily = {
      schedule      = "0 6 * * *"
      attack_vector = "BRUTE_FORCE"
    }
  }

  validation {
    condition     = alltrue([for each in values(var.simulations) : contains(["LOW", "MEDIUM", "HIGH"], each.intensity)])
    error_message = "An intensity is LOW, MEDIUM or HIGH."
  }

  validation {
    condition = alltrue([
      for each in values(var.simulations) :
      each.duration_seconds >= 10 && each.duration_seconds <= 300 && each.target_eps >= 1 && each.target_eps <= 500
    ])
    error_message = "A simulation lasts 10 to 300 seconds at 1 to 500 events a second."
  }
}

variable "cloud_logging_filter" {
  description = "Log entries that are analysed, as a filter of Cloud Logging; null: none. The platform's own lines are never among them."
  type        = string
  default     = null
}

variable "webhook_url" {
  description = "Where playbooks tell of what they did; null: nowhere. Its key is the secret webhook-secret."
  type        = string
  default     = null
}

variable "gemini" {
  description = "Gemini, which health asks whether it answers: off, key (AI Studio; the key is the secret gemini-api-key) or vertex (Vertex AI as the api's service account, at a location: a region, us, eu or global). model: null is the functions' default."
  type = object({
    access   = optional(string, "off")
    model    = optional(string)
    location = optional(string)
  })
  default = {}

  validation {
    condition     = contains(["off", "key", "vertex"], var.gemini.access)
    error_message = "The access is off, key or vertex."
  }

  validation {
    condition     = var.gemini.location == null || var.gemini.access == "vertex"
    error_message = "A location belongs to the access vertex alone."
  }

  validation {
    condition     = var.gemini.location == null || can(regex("^[a-z][a-z0-9-]{1,39}$", var.gemini.location))
    error_message = "A location is a region such as europe-west4, us, eu or global."
  }

  validation {
    condition     = var.gemini.model == null || can(regex("^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,99}$", var.gemini.model))
    error_message = "A model is named as gemini-3.5-flash-lite, without models/ in front."
  }
}

variable "load_balancer" {
  description = "An external load balancer with Cloud Armor in front of the api and the relay, under a domain; null: none. allowed_cidrs are the only networks let in; none named: all."
  type = object({
    domain        = string
    allowed_cidrs = optional(list(string), [])
  })
  default = null
}

variable "image_replica_region" {
  description = "A second region that keeps the images; null: none."
  type        = string
  default     = null
}

variable "alert_emails" {
  description = "Who is told when the platform does not fare well."
  type        = set(string)
  default     = []
}

variable "budget" {
  description = "A monthly budget and the billing account it belongs to; null: none."
  type = object({
    billing_account = string
    amount_usd      = number
  })
  default = null
}

variable "labels" {
  description = "Labels of everything that can have some."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to destroy what holds data or serves people."
  type        = bool
  default     = true
}

variable "connector_credentials_json" {
  description = "Key of the service account threatstream-connector, as JSON, for the trigger push; Confluent keeps it, and the state does too. Prefer drain or worker where that must not be."
  type        = string
  default     = ""
  sensitive   = true
}
