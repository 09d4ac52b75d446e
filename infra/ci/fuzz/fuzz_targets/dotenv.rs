//! Any text as a `.env` file, and every value in it as one of our variables.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use threatstream_runtime::ServeConfig;
use threatstream_runtime::environment::parse_dotenv;

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
            // Not the tokens: their value may name a file, and this is not to read any file that it can think of.
            let others = assignments.into_iter().filter(|(name, _)| name != "API_TOKENS");
            let environment: HashMap<String, String> = others.collect();
            if let Err(errors) = ServeConfig::from_env(&environment) {
                assert!(!errors.to_string().is_empty());
            }
        }
    }
});
