//! Tokens of identity providers, with the configurations of `IDENTITY_PROVIDERS.md`.

use super::signers::{Signer, ecdsa, rsa};
use crate::support::database::{AgnoDatabase, repository_path};
use crate::support::server::{Setup, TestServer};
use crate::support::token::now;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, RSA_PKCS1_SHA256};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

const DELETE: &str = "learnings:delete";

/// A provider: the section of the document, the claims of a token, and where in them the user and the scopes are.
struct Provider {
    section: &'static str,
    user: &'static str,
    /// JSON pointers.
    user_claim: &'static str,
    scopes_claim: &'static str,
    audience_claim: Option<&'static str>,
    claims: Value,
}

fn providers() -> Vec<Provider> {
    let times = |claims: Value| {
        let mut claims = claims;
        claims["iat"] = json!(now());
        claims["exp"] = json!(now() + 300);
        claims
    };
    vec![
        Provider {
            section: "Keycloak",
            user: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            user_claim: "/sub",
            scopes_claim: "/realm_access/roles",
            audience_claim: Some("/aud"),
            claims: times(json!({
                "iss": "https://keycloak.example/realms/agno", "aud": ["agent-os", "account"], "typ": "Bearer",
                "azp": "control-plane", "jti": "onrtac:1", "acr": "1", "sid": "s", "scope": "openid profile email",
                "sub": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "preferred_username": "alice", "email_verified": true,
                "realm_access": { "roles": ["offline_access", DELETE, "uma_authorization"] },
                "resource_access": { "account": { "roles": ["manage-account"] } },
            })),
        },
        Provider {
            section: "Entra ID",
            user: "00000000-0000-0000-66f3-3332eca7ea81",
            user_claim: "/oid",
            scopes_claim: "/scp",
            audience_claim: Some("/aud"),
            claims: times(json!({
                "iss": "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0", "ver": "2.0",
                "aud": "22222222-2222-2222-2222-222222222222", "azp": "33333333-3333-3333-3333-333333333333", "azpacr": "0",
                "tid": "11111111-1111-1111-1111-111111111111", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
                "oid": "00000000-0000-0000-66f3-3332eca7ea81", "name": "Alice", "rh": "r", "uti": "u",
                "scp": "User.Read learnings:delete", "nbf": now(),
            })),
        },
        Provider {
            section: "Okta",
            user: "00uid4BxXw6I6TV4m0g3",
            user_claim: "/uid",
            scopes_claim: "/scp",
            audience_claim: Some("/aud"),
            claims: times(json!({
                "ver": 1, "jti": "AT.1", "iss": "https://example.okta.com/oauth2/default", "aud": "api://default",
                "cid": "0oa1", "uid": "00uid4BxXw6I6TV4m0g3", "scp": ["openid", DELETE], "auth_time": now(),
                "sub": "alice@example.com",
            })),
        },
        Provider {
            section: "Auth0",
            user: "auth0|507f1f77bcf86cd799439011",
            user_claim: "/sub",
            scopes_claim: "/permissions",
            audience_claim: Some("/aud"),
            claims: times(json!({
                "iss": "https://example.eu.auth0.com/", "sub": "auth0|507f1f77bcf86cd799439011", "azp": "c",
                "aud": ["https://agent-os.example", "https://example.eu.auth0.com/userinfo"], "scope": "openid profile",
                "permissions": [DELETE, "learnings:read"],
            })),
        },
        Provider {
            section: "Cognito",
            user: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            user_claim: "/sub",
            scopes_claim: "/scope",
            audience_claim: Some("/client_id"),
            claims: times(json!({
                "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["users"], "version": 2, "token_use": "access",
                "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE", "client_id": "1example23456789",
                "origin_jti": "o", "event_id": "e", "scope": "openid agent-os/learnings:delete", "auth_time": now(),
                "jti": "j", "username": "alice",
            })),
        },
        Provider {
            section: "Supabase",
            user: "d0f1e2c3-0000-4000-8000-000000000001",
            user_claim: "/sub",
            scopes_claim: "/app_metadata/scopes",
            audience_claim: Some("/aud"),
            claims: times(json!({
                "iss": "https://example.supabase.co/auth/v1", "sub": "d0f1e2c3-0000-4000-8000-000000000001",
                "aud": "authenticated", "email": "alice@example.com", "phone": "", "role": "authenticated", "aal": "aal1",
                "app_metadata": { "provider": "email", "scopes": [DELETE] }, "is_anonymous": false,
                "user_metadata": { "scopes": ["agent_os:admin"] }, "amr": [{ "method": "password", "timestamp": 1 }],
            })),
        },
        Provider {
            section: "Clerk",
            user: "user_2aBcDeFgHiJkLmNoPqRsTuVwXyZ",
            user_claim: "/sub",
            scopes_claim: "/scopes",
            audience_claim: None,
            claims: times(json!({
                "azp": "https://os.agno.com", "fva": [0, -1], "iss": "https://example.clerk.accounts.dev", "nbf": now() - 10,
                "sid": "sess_1", "sub": "user_2aBcDeFgHiJkLmNoPqRsTuVwXyZ", "sts": "active", "v": 2, "scopes": [DELETE],
            })),
        },
    ]
}

/// Returns the configuration in this section of the document, with a file in place of the URL of the key set.
fn documented_configuration(section: &str) -> String {
    let document = fs::read_to_string(repository_path("host/server/IDENTITY_PROVIDERS.md")).expect("the document");
    let (_, text) = document.split_once(&format!("## {section}\n")).expect("a section");
    let (_, text) = text.split_once("```toml\n").expect("a configuration");
    let (text, _) = text.split_once("```").expect("its end");
    let is_url = |line: &&str| line.starts_with("jwks_url = \"https://");
    assert_eq!(text.lines().filter(is_url).count(), 1, "{text}");
    let lines = text.lines().map(|line| if is_url(&line) { "jwks_file = \"jwks.json\"" } else { line });
    format!("mode = \"jwt\"\n{}\n", lines.collect::<Vec<_>>().join("\n"))
}

/// Starts a server with the documented configuration, on a database with two records, one of which the user owns.
fn start(provider: &Provider, signer: &Signer) -> TestServer {
    let directory = TempDir::new().expect("a directory");
    let mut key = signer.jwk.clone();
    key["kid"] = json!("key-1");
    key["use"] = json!("sig");
    let other = rsa("RS256", &RSA_PKCS1_SHA256).jwk;
    let set = json!({ "keys": [other, key] });
    fs::write(directory.path().join("jwks.json"), set.to_string()).expect("the set can be written");
    let database = AgnoDatabase::copy_to(directory.path(), "main.db");
    database.insert("own", Some(provider.user));
    database.insert("another's", Some("bob"));
    Setup::with_auth(&documented_configuration(provider.section)).start_in(directory)
}

#[test]
fn documented_configuration_accepts_tokens_of_the_provider() {
    let providers = providers();
    let document = fs::read_to_string(repository_path("host/server/IDENTITY_PROVIDERS.md")).expect("the document");
    assert_eq!(document.matches("```toml").count(), providers.len(), "every configuration is tested");
    for provider in providers {
        let name = provider.section;
        let signer = match name {
            "Supabase" => ecdsa("ES256", &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            _ => rsa("RS256", &RSA_PKCS1_SHA256),
        };
        let server = start(&provider, &signer);
        let delete = |id: &str, changes: &[(&str, Value)]| {
            let mut claims = provider.claims.clone();
            for (pointer, value) in changes {
                *claims.pointer_mut(pointer).expect("the claim exists") = value.clone();
            }
            let response = server.delete(
                &format!("/learnings/{id}"),
                Some(&signer.token_with_claims(json!({ "kid": "key-1", "typ": "JWT" }), claims)),
            );
            (response.status, response.body)
        };
        let status = |id, changes: &[(&str, Value)]| delete(id, changes).0;
        assert_eq!(status("another%27s", &[]), 404, "{name}: the token is confined to its user\n{}", server.log());
        assert_eq!(status("own", &[("/iss", json!("https://another.example"))]), 401, "{name}: another issuer");
        assert_eq!(status("own", &[("/exp", json!(now() - 60))]), 401, "{name}: expired");
        if let Some(audience) = provider.audience_claim {
            assert_eq!(status("own", &[(audience, json!("another"))]), 401, "{name}: another audience");
        }
        assert_eq!(
            status("own", &[(provider.scopes_claim, json!("learnings:read"))]),
            403,
            "{name}: without the scope"
        );
        assert_eq!(status("own", &[(provider.scopes_claim, json!({}))]), 403, "{name}: a malformed scope");
        let (reserved, body) = delete("own", &[(provider.user_claim, json!("sa:bot"))]);
        assert!(reserved == 401 && body.contains("Invalid token subject"), "{name}: a reserved principal: {body}");
        assert_eq!(status("own", &[(provider.user_claim, json!(7))]), 401, "{name}: a user that is not a string");
        assert_eq!(status("own", &[]), 204, "{name}\n{}", server.log());
    }
}

#[test]
fn invalid_claim_configuration_is_refused_with_its_key() {
    for (line, key) in [
        ("scopes_claim = \"\"", "auth.jwt.scopes_claim"),
        ("scopes_claim = [\"a\", \"\"]", "auth.jwt.scopes_claim"),
        ("user_id_claim = \"a..b\"", "auth.jwt.user_id_claim"),
        ("audience_claim = 7", "auth.jwt.audience_claim"),
        ("audience = []", "audience"),
        ("audience = [\"a\", \"\"]", "audience"),
        ("jwks_url = \"http://issuer.example/keys\"", "auth.jwt.jwks_url"),
        ("jwks_url = \"https://user:secret@issuer.example/keys\"", "auth.jwt.jwks_url"),
        ("jwks_url = \"https://issuer.example/keys\"\njwks_file = \"jwks.json\"", "auth.jwt.jwks_url"),
    ] {
        let directory = TempDir::new().expect("a directory");
        AgnoDatabase::copy_to(directory.path(), "main.db");
        let setup = Setup::with_auth(&format!("mode = \"jwt\"\n[auth.jwt]\n{line}\n"));
        let error = setup.try_start_in(directory).err().unwrap_or_else(|| panic!("{line}: the server started"));
        assert!(error.contains(key) && !error.contains("secret@"), "{line}: {error}");
    }
}

#[test]
fn key_set_of_the_environment_verifies_tokens() {
    let signer = rsa("RS256", &RSA_PKCS1_SHA256);
    let token = |kid: &str| signer.token(json!({ "kid": kid }));
    let mut key = signer.jwk.clone();
    key["kid"] = json!("1");
    let environment = vec![("JWT_JWKS", json!({ "keys": [key] }).to_string())];
    let server = Setup { environment, ..Setup::with_auth("mode = \"jwt\"\n") }.start();
    assert_eq!(server.delete("/learnings/absent", Some(&token("1"))).status, 404, "{}", server.log());
    assert_eq!(server.delete("/learnings/absent", Some(&token("2"))).status, 401);

    for document in ["{", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"secret-secret"}]}"#] {
        let environment = vec![("JWT_JWKS", document.to_owned())];
        let directory = TempDir::new().expect("a directory");
        AgnoDatabase::copy_to(directory.path(), "main.db");
        let setup = Setup { environment, ..Setup::with_auth("mode = \"jwt\"\n") };
        let error = setup.try_start_in(directory).err().expect("it is refused");
        assert!(error.contains("JWT_JWKS: ") && !error.contains("secret-secret"), "{document}: {error}");
    }
}
