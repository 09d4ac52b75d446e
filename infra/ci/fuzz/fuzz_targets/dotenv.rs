//! Any text as a `.env` file, and every value in it as one of our variables.
#![no_main]

use libfuzzer_sys::fuzz_target;
use threatstream_runtime::environment::parse_dotenv;
use threatstream_runtime::{AuthMode, ServeConfig};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match parse_dotenv(&text) {
        Err(error) => {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&error.line), "line {} of {lines}", error.line);
        }
        Ok(assignments) => {
            for (name, _) in &assignments {
                assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            }
            let environment: std::collections::HashMap<String, String> = assignments.into_iter().collect();
            if let Ok(config) = ServeConfig::from_env(&environment) {
                let _ = matches!(config.auth, AuthMode::Open);
            }
        }
    }
});
