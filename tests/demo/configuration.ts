/** What the demo's configuration depends on. */
export interface DemoPlaces {
  readonly proxyPort: number;
  readonly clusterPort: number;
  readonly issuerUrl: string;
}

/** The configuration that the demo's proxy runs with, to be read by people. */
export function configurationText({ proxyPort, clusterPort, issuerUrl }: DemoPlaces): string {
  return `# The configuration of the demo. Every key there is: config.example.toml

[listen]
address = "127.0.0.1:${proxyPort}"
certificate = "server.crt"
private_key = "server.key"

# Whose tokens are good. The keys are found by OpenID Connect Discovery.
[[issuers]]
name = "demo"
url = "${issuerUrl}"
audience = ["pg-auth-proxy"]

# Where clients are let in: inside TLS on this side too, with a password that no client ever holds.
[[backends]]
name = "shop"
url = "postgres://localhost:${clusterPort}/shop?sslmode=verify-full&sslrootcert=ca.crt"
password_file = "secrets/shop"
require_auth = ["scram-sha-256-plus"]    # SCRAM, bound to the backend's certificate

# Who is let in. Asked in order: the first rule whose conditions all hold decides.

# Administrators may be shop_owner, if that is the user they ask for.
[[rules]]
name = "administrators"
issuer = "demo"
claim = "email"
match = '/.*@example\\.com/'
require = { groups = "dba" }
users = ["shop_owner"]
backend = "shop"
login_as = "shop_owner"

# Everybody else is who they are: alice@example.com becomes the role alice, and no other.
[[rules]]
name = "people"
issuer = "demo"
claim = "email"
match = '/([a-z]+)@example\\.com/'        # no underscore: nobody is called shop_owner or nightly_report
users = ['\\1']
backend = "shop"
login_as = '\\1'

# A service. It may write any user into its connection string: the rule alone says which role it is.
[[rules]]
name = "nightly report"
issuer = "demo"
match = "service:nightly-report"         # the claim "sub"
backend = "shop"
login_as = "nightly_report"
`;
}
