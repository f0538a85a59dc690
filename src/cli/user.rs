//! `anomalake user`.

use std::path::Path;

use axum::http::Method;

use super::CommandError;
use super::args::{path_segment, role};
use super::output::{self, FormatArgs};
use super::password::PasswordArgs;
use super::session::{IfMissing, with_client};
use crate::api::control::tenants::TenantModel;
use crate::api::control::users::{CreateUser, GrantRole, NewPassword, RevokeRole, UserModel};
use crate::domain::principal::Role;
use crate::domain::tenant::TenantId;

/// Create users, give and take their roles, change passwords.
#[derive(Debug, clap::Subcommand)]
pub enum UserCommand {
    /// Create a user with a role in a tenant. The password comes from stdin or a file.
    #[command(after_help = "A reader may read everything of the tenant, a manager may also write, an admin may do all.
One newline at the end of the password is removed; at least 8 characters must remain.

Examples:
  printf '%s' \"$PASSWORD\" | \\
    anomalake user create --tenant 5618 --email ann@example.com --role reader
  anomalake user create --tenant 5618 --email bob@example.com --role admin \\
    --password-file bob.txt")]
    Create {
        /// Who becomes what where.
        #[command(flatten)]
        role: RoleArgs,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Give a user a role in a tenant, in place of an earlier one.
    #[command(after_help = "Example:
  anomalake user grant --tenant 5618 --email ann@example.com --role manager")]
    Grant(RoleArgs),
    /// Take a user's role in a tenant away.
    #[command(after_help = "Example:
  anomalake user revoke --tenant 5618 --email ann@example.com")]
    Revoke {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// The user.
        #[command(flatten)]
        user: EmailArgs,
    },
    /// Set a new password, from stdin or a file.
    #[command(after_help = "Example:
  printf '%s' \"$PASSWORD\" | anomalake user passwd --email ann@example.com")]
    Passwd {
        /// The user.
        #[command(flatten)]
        user: EmailArgs,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Let a user sign in again.
    #[command(after_help = "Example:
  anomalake user enable --email ann@example.com")]
    Enable(EmailArgs),
    /// Keep a user from signing in.
    #[command(after_help = "Example:
  anomalake user disable --email ann@example.com")]
    Disable(EmailArgs),
    /// List users and their roles.
    #[command(after_help = "Examples:
  anomalake user list
  anomalake user list --tenant 5618 --format json")]
    List {
        /// Only users with a role in this tenant.
        #[arg(long, value_name = "ID")]
        tenant: Option<TenantId>,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
}

/// A user by address.
#[derive(Debug, clap::Args)]
pub struct EmailArgs {
    /// E-mail address of the user.
    #[arg(long)]
    email: String,
}

/// A user's role in a tenant.
#[derive(Debug, clap::Args)]
pub struct RoleArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// E-mail address of the user.
    #[arg(long)]
    email: String,
    /// The role.
    #[arg(long, value_parser = role())]
    role: Role,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, command: &UserCommand) -> Result<(), CommandError> {
    // Read before the data directory is taken, so that nobody waits while someone types.
    let password = match command {
        UserCommand::Create { password, .. } | UserCommand::Passwd { password, .. } => Some(password.read()?),
        _ => None,
    };
    let password = password.unwrap_or_default();
    with_client(data_dir, IfMissing::Refuse, async |client| {
        let route = |email: &str, verb: &str| format!("/control/users/{}/{verb}", path_segment(email));
        let said = match command {
            UserCommand::Create { role: RoleArgs { tenant, email, role }, .. } => {
                let new = CreateUser { tenant: *tenant, email: email.clone(), role: *role, password };
                client.no_content(Method::POST, "/control/users", Some(&new)).await?;
                format!("created user {email} as {role} of tenant {tenant}\n")
            }
            UserCommand::Grant(RoleArgs { tenant, email, role }) => {
                let grant = GrantRole { tenant: *tenant, role: *role };
                client.no_content(Method::POST, &route(email, "grant"), Some(&grant)).await?;
                format!("user {email} is {role} of tenant {tenant}\n")
            }
            UserCommand::Revoke { tenant, user: EmailArgs { email } } => {
                let revoke = RevokeRole { tenant: *tenant };
                client.no_content(Method::POST, &route(email, "revoke"), Some(&revoke)).await?;
                format!("user {email} has no role in tenant {tenant} any more\n")
            }
            UserCommand::Passwd { user: EmailArgs { email }, .. } => {
                let new = NewPassword { password };
                client.no_content(Method::POST, &route(email, "passwd"), Some(&new)).await?;
                format!("user {email} has a new password\n")
            }
            UserCommand::Enable(EmailArgs { email }) => {
                client.no_content(Method::POST, &route(email, "enable"), None::<&()>).await?;
                format!("user {email} may sign in\n")
            }
            UserCommand::Disable(EmailArgs { email }) => {
                client.no_content(Method::POST, &route(email, "disable"), None::<&()>).await?;
                format!("user {email} may not sign in any more\n")
            }
            UserCommand::List { tenant, format } => {
                if let Some(tenant) = tenant {
                    // A mistyped tenant shall not look like one without users.
                    let path = format!("/control/tenants/{tenant}");
                    let _: TenantModel = client.json(Method::GET, &path, None, None::<&()>).await?;
                }
                let mut users: Vec<UserModel> = client.json(Method::GET, "/control/users", None, None::<&()>).await?;
                if let Some(tenant) = tenant {
                    users.retain(|user| user.roles.iter().any(|role| role.tenant == tenant.get()));
                }
                let headings = ["EMAIL", "ENABLED", "ROLES", "CREATED"];
                return output::list(format.format, &users, &headings, |user| {
                    let roles: Vec<_> = user.roles.iter().map(|r| format!("{}:{}", r.tenant, r.role)).collect();
                    let enabled = if user.enabled { "yes" } else { "no" };
                    vec![user.email.clone(), enabled.to_owned(), roles.join(" "), user.created_at.clone()]
                });
            }
        };
        output::print(&said)
    })
    .await
}
