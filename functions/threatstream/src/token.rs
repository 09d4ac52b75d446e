//! `threatstream token new`: an access token for `AUTH_MODE=token`.

use threatstream_runtime::auth::{hash_token, new_token};

use crate::arguments::{TokenCommand, TokenOptions, TokenRole};

/// Prints a fresh token and the line that admits it. The token itself is kept nowhere.
pub(crate) fn new(options: &TokenOptions) -> anyhow::Result<u8> {
    let TokenCommand::New { role, name } = &options.command;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    anyhow::ensure!(
        !name.is_empty() && name.len() <= 64 && name.chars().all(allowed),
        "--name: 1 to 64 letters, digits and - _ . @"
    );
    let role = match role {
        TokenRole::Ingest => "ingest",
        TokenRole::Viewer => "viewer",
        TokenRole::Analyst => "analyst",
        TokenRole::Admin => "admin",
    };
    let token = new_token();
    println!("{token}");
    eprintln!("Add this line to API_TOKENS, and give the token above to {name}; it is shown once:");
    eprintln!("{name}:{role}:{}", hash_token(&token));
    Ok(crate::CLEAN)
}
