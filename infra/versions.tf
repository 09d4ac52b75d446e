terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
    confluent = {
      source  = "confluentinc/confluent"
      version = "~> 2.83"
    }
  }

  # The state names every resource and holds no secret: keep it in a bucket that the platform's engineers alone can read.
  # terraform init -backend-config="bucket=…"
  backend "gcs" {
    prefix = "threatstream"
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
  # Budgets are asked of the project that pays, not of the caller's own.
  user_project_override = true
  billing_project       = var.project_id
}

# Reads CONFLUENT_CLOUD_API_KEY and CONFLUENT_CLOUD_API_SECRET.
provider "confluent" {}
