//! Certificates that the tests create with `openssl`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// The options of `openssl req` for a new key on this curve.
pub const EC_256: &str = "ec -pkeyopt ec_paramgen_curve:prime256v1";
pub const EC_384: &str = "ec -pkeyopt ec_paramgen_curve:secp384r1";
/// The option of `openssl req` for a new key of RSA.
pub const RSA: &str = "rsa:2048";

/// A directory with certificates (`NAME.pem`) and their private keys (`NAME.key`), which only this user can read.
pub struct Certificates(TempDir);

impl Certificates {
    pub fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("the file exists")
    }

    /// Creates a certificate authority with a key of this kind, which signs its own certificate with this digest.
    pub fn create_authority(&self, name: &str, key: &str, digest: &str) {
        self.openssl(&format!(
            "req -x509 -newkey {key} -nodes -{digest} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ));
    }

    /// Creates a key of this kind, and a certificate for this name, which the authority signs with this digest.
    pub fn issue(&self, name: &str, subject: &str, authority: &str, key: &str, digest: &str) {
        self.openssl(&format!("req -newkey {key} -nodes -subj /CN={subject} -keyout {name}.key -out {name}.csr"));
        fs::write(self.path("names"), format!("subjectAltName=DNS:{subject}\n")).expect("the file is written");
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -{digest} -days 2 \
             -extfile names -out {name}.pem"
        ));
        self.set_mode(&format!("{name}.key"), 0o600);
    }

    /// Runs `openssl` with these arguments, which contain no spaces, in the directory.
    pub fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split_whitespace()).current_dir(self.0.path()).output();
        let output = output.expect("openssl runs");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("its permissions are set");
    }
}
