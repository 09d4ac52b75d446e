//! Builds again when a playbook is added: the macro that embeds the folder does not see new files by itself.

fn main() {
    println!("cargo::rerun-if-changed=playbooks");
}
