import assert from "node:assert/strict";
import fc from "fast-check";
import { formatHost, isLocal } from "../../lib/connect/host.ts";
import { parseTarget, type Target, TargetError, withIdentity } from "../../lib/connect/target.ts";
import { PgError } from "../../lib/errors.ts";

/** A URL in the manual's section on connection URIs, or like one there, and what it says. */
interface Example {
  readonly url: string;
  readonly hosts: readonly string[];
  readonly says?: Partial<Pick<Target, "user" | "database">>;
}

Deno.test.each<Example>([
  { url: "postgresql://localhost", hosts: ["localhost:5432"] },
  { url: "postgres://localhost/", hosts: ["localhost:5432"] },
  { url: "postgresql://localhost:5433", hosts: ["localhost:5433"] },
  { url: "postgresql://localhost/mydb", hosts: ["localhost:5432"], says: { database: "mydb" } },
  { url: "postgresql://user@localhost", hosts: ["localhost:5432"], says: { user: "user" } },
  { url: "postgresql://user:secret@localhost", hosts: ["localhost:5432"], says: { user: "user" } },
  {
    url: "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
    hosts: ["localhost:5432"],
    says: { user: "other", database: "otherdb" },
  },
  {
    url: "postgresql://host1:123,host2:456/somedb?target_session_attrs=any&application_name=myapp",
    hosts: ["host1:123", "host2:456"],
    says: { database: "somedb" },
  },
  {
    url: "postgresql:///mydb?host=localhost&port=5433",
    hosts: ["localhost:5433"],
    says: { database: "mydb" },
  },
  {
    url: "postgresql://user@localhost:5433/mydb?options=-c%20synchronous_commit%3Doff",
    hosts: ["localhost:5433"],
    says: { user: "user", database: "mydb" },
  },
  {
    url: "postgresql://[2001:db8::1234]/database",
    hosts: ["[2001:db8::1234]:5432"],
    says: { database: "database" },
  },
  {
    url: "postgresql:///dbname?host=/var/lib/postgresql",
    hosts: ["/var/lib/postgresql/.s.PGSQL.5432"],
    says: { database: "dbname" },
  },
  {
    url: "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
    hosts: ["/var/lib/postgresql/.s.PGSQL.5432"],
    says: { database: "dbname" },
  },
  { url: "postgresql://h1,h2:5433", hosts: ["h1:5432", "h2:5433"] },
  { url: "postgresql://h1:5433,h2", hosts: ["h1:5433", "h2:5432"] },
  { url: "postgresql:///?host=h1,h2&port=5433", hosts: ["h1:5433", "h2:5433"] },
  { url: "postgresql:///?host=h1,h2&port=1,2", hosts: ["h1:1", "h2:2"] },
  { url: "postgresql://[::1]:5433,[fe80::1%25eth0]:5434", hosts: ["[::1]:5433", "[fe80::1%eth0]:5434"] },
  {
    url: "postgresql://first@h/one?user=second&dbname=two",
    hosts: ["h:5432"],
    says: { user: "second", database: "two" },
  },
  { url: "postgresql://a%40b@h/c%2Fd", hosts: ["h:5432"], says: { user: "a@b", database: "c/d" } },
  { url: "postgresql://h/?host=%2Frun&port=6000", hosts: ["/run/.s.PGSQL.6000"] },
  { url: "postgresql://@h", hosts: ["h:5432"] },
])("parseTarget() reads $url as libpq does", ({ url, hosts, says = {} }) => {
  const target = parseTarget(url);
  assert.deepEqual(target.hosts.map(formatHost), hosts);
  assert.deepEqual([target.user, target.database], [says.user, says.database]);
});

Deno.test("parseTarget() keeps the password a secret", () => {
  const { password } = parseTarget("postgres://user:p%40ss@h");
  assert.equal(password?.reveal(), "p@ss");
  assert.equal(String(password), "[secret]");
});

Deno.test("A18 parseTarget() is strict where nothing is written, and takes nothing from elsewhere", () => {
  const target = parseTarget("postgres://h");
  assert.deepEqual(target, {
    hosts: [{ kind: "tcp", host: "h", port: 5432 }],
    user: undefined,
    database: undefined,
    password: undefined,
    sslmode: "verify-full",
    sslrootcert: undefined,
    sslcert: undefined,
    sslkey: undefined,
    sslnegotiation: "postgres",
    connectTimeoutMs: 10_000,
    targetSessionAttrs: "any",
    parameters: new Map(),
  });
});

Deno.test("parseTarget() reads every key of the query", () => {
  const target = parseTarget(
    "postgres://h?sslmode=verify-ca&sslrootcert=ca.crt&sslcert=c.crt&sslkey=c.key&sslnegotiation=direct" +
      "&connect_timeout=3&target_session_attrs=prefer-standby&application_name=a&options=-c%20x%3D1&client_encoding=UTF8",
  );
  const { sslmode, sslrootcert, sslcert, sslkey, sslnegotiation, connectTimeoutMs, targetSessionAttrs } =
    target;
  assert.deepEqual(
    { sslmode, sslrootcert, sslcert, sslkey, sslnegotiation, connectTimeoutMs, targetSessionAttrs },
    {
      sslmode: "verify-ca",
      sslrootcert: "ca.crt",
      sslcert: "c.crt",
      sslkey: "c.key",
      sslnegotiation: "direct",
      connectTimeoutMs: 3000,
      targetSessionAttrs: "prefer-standby",
    },
  );
  assert.deepEqual([...target.parameters], [
    ["application_name", "a"],
    ["options", "-c x=1"],
    ["client_encoding", "UTF8"],
  ]);
});

Deno.test("parseTarget() checks the chain in mode require when it is told whom to trust", () => {
  assert.equal(parseTarget("postgres://h?sslmode=require&sslrootcert=ca.crt").sslmode, "verify-ca");
  assert.equal(parseTarget("postgres://h?sslmode=require").sslmode, "require");
});

Deno.test.each([
  { url: "mysql://h", message: /must begin with postgres:/ },
  { url: "host=h user=u", message: /must begin with postgres:/ },
  { url: "postgres://", message: /must name a host/ },
  { url: "postgres:///db", message: /must name a host/ },
  { url: "postgres://h1,,h2", message: /must name a host/ },
  { url: "postgres://h/a b", message: /space/ },
  { url: "postgres://h:0", message: /1 to 65535/ },
  { url: "postgres://h:65536", message: /1 to 65535/ },
  { url: "postgres://h:54x", message: /1 to 65535/ },
  { url: "postgres://h:5432:5433", message: /1 to 65535/ },
  { url: "postgres:///?host=h1,h2,h3&port=1,2", message: /one port, or as many/ },
  { url: "postgres://[::1", message: /IPv6/ },
  { url: "postgres://[::1]x", message: /IPv6/ },
  { url: "postgres://::1", message: /must name a host|1 to 65535/ },
  { url: "postgres://[db1]", message: /IPv6/ },
  { url: "postgres://h%3A5432", message: /must be a name/ },
  { url: "postgres://h%20x", message: /must be a name/ },
  { url: "postgres://%40abstract", message: /must be a name/ },
  { url: "postgres://h/%zz", message: /percent/ },
  { url: "postgres://h/%ff", message: /percent/ },
  { url: "postgres://h/%00", message: /zero byte/ },
  { url: "postgres://h?sslmode", message: /key=value/ },
  { url: "postgres://h?options=-c a=b".replace(" ", "%20"), message: /equals sign/ },
  { url: "postgres://h?sslmode=require&sslmode=require", message: /sslmode twice/ },
  { url: "postgres://h?sslmode=prefer", message: /prefer may go on in plain text/ },
  { url: "postgres://h?sslmode=allow", message: /allow may go on in plain text/ },
  { url: "postgres://h?sslmode=verify", message: /sslmode must be one of disable, require/ },
  {
    url: "postgres://h?sslmode=constructor",
    message: /sslmode must be one of disable, require, verify-ca, verify-full$/,
  },
  { url: "postgres://h?sslrootcert=system&sslmode=require", message: /verify-full/ },
  { url: "postgres://h?sslcert=c.crt", message: /together/ },
  { url: "postgres://h?sslkey=c.key", message: /together/ },
  { url: "postgres://h?sslnegotiation=direct&sslmode=disable", message: /contradicts/ },
  { url: "postgres://h?sslnegotiation=tls", message: /sslnegotiation must be one of/ },
  { url: "postgres://h?target_session_attrs=master", message: /target_session_attrs must be one of/ },
  { url: "postgres://h?connect_timeout=0", message: /connect_timeout must be 1 to 600/ },
  { url: "postgres://h?connect_timeout=10s", message: /connect_timeout must be 1 to 600/ },
  { url: "postgres://h?hostaddr=127.0.0.1", message: /query key hostaddr/ },
  { url: "postgres://h?service=x", message: /query key service/ },
  { url: "postgres://h?replication=database", message: /query key replication/ },
  { url: "postgres://h?passfile=x", message: /query key passfile/ },
  { url: "postgres://h?ssl=true", message: /query key ssl / },
  { url: "postgres://\\1.example.com", message: /cannot hold a capture/ },
  { url: "postgres://%5C1", message: /cannot hold a capture/ },
  { url: "postgres://h?host=/run/\\1", message: /cannot hold a capture/ },
  { url: "postgres://h?sslrootcert=\\1.crt", message: /sslrootcert cannot hold a capture/ },
  { url: "postgres://h?sslcert=\\{name}.crt&sslkey=k", message: /sslcert cannot hold a capture/ },
])("parseTarget() refuses $url", ({ url, message }) => {
  assert.throws(
    () => parseTarget(url),
    (thrown) => thrown instanceof TargetError && message.test(thrown.message),
  );
});

Deno.test.each([
  { url: "postgres://u:hunter2@h:x" },
  { url: "postgres://u:hunter2/x@h" },
  { url: "postgres://u:/?hunter2@h" },
  { url: "postgres://u:/?hunter2=@h" },
  { url: "postgres://u:/?hunter2%20=x&hunter2%20=x@h" },
  { url: "postgres://h?password=hunter2&sslmode=hunter2" },
  { url: "postgres://u:hunter2%zz@h" },
  { url: "postgres://u:hunter2 @h" },
])("T17 the mistake in $url is told without the password", ({ url }) => {
  assert.throws(
    () => parseTarget(url),
    (thrown) => thrown instanceof TargetError && !thrown.message.includes("hunter2"),
  );
});

Deno.test("parseTarget() gives a target or a TargetError, whatever it reads", () => {
  const piece = fc.oneof(
    fc.constantFrom(...":/@?&=,[]%\\", "%2F", "host", "port", "sslmode", "::1", "5432", "h"),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
    try {
      assert.ok(parseTarget(`postgres://${pieces.join("")}`).hosts.length > 0);
    } catch (thrown) {
      assert.ok(thrown instanceof TargetError, String(thrown));
    }
  }));
});

Deno.test("withIdentity() fills in user, database and parameters", () => {
  const target = parseTarget("postgres://app_\\1@h/db_\\1?application_name=\\1");
  const filled = withIdentity(target, fillWith("alice"));
  assert.equal(filled.user, "app_alice");
  assert.equal(filled.database, "db_alice");
  assert.deepEqual([...filled.parameters], [["application_name", "alice"]]);
});

Deno.test.each([
  { capture: "x@evil.example.com/" },
  { capture: "x?sslmode=disable" },
  { capture: "%00%2f%40" },
  { capture: `'"\\1` },
  { capture: "postgres://evil" },
])("T13 a capture that holds $capture stays one name", ({ capture }) => {
  const target = parseTarget("postgres://\\1@h/\\1?sslmode=verify-full&application_name=\\1");
  const filled = withIdentity(target, fillWith(capture));
  assert.deepEqual(filled, {
    ...target,
    user: capture,
    database: capture,
    parameters: new Map([["application_name", capture]]),
  });
});

Deno.test("T13 no capture changes where a login goes, or how", () => {
  const target = parseTarget("postgres://\\1:pw@h1,h2:5433/\\1?options=-c%20x%3D\\1");
  const { hosts, sslmode, sslrootcert, password, targetSessionAttrs } = target;
  fc.assert(fc.property(fc.string({ unit: "binary" }), (capture) => {
    try {
      const filled = withIdentity(target, fillWith(capture));
      assert.equal(filled.hosts, hosts);
      assert.equal(filled.password, password);
      assert.deepEqual([filled.sslmode, filled.sslrootcert], [sslmode, sslrootcert]);
      assert.equal(filled.targetSessionAttrs, targetSessionAttrs);
      assert.deepEqual([...filled.parameters.keys()], ["options"]);
    } catch (thrown) {
      assert.ok(thrown instanceof PgError && thrown.sqlstate === "28000", String(thrown));
    }
  }));
});

Deno.test("T13 a capture in options stays within its word", () => {
  const target = parseTarget("postgres://h?options=-c%20search_path%3D\\1");
  const filled = withIdentity(target, fillWith("a -c role=postgres\\"));
  assert.equal(filled.parameters.get("options"), "-c search_path=a\\ -c\\ role=postgres\\\\");
});

Deno.test.each([
  { case: "empty", capture: "" },
  { case: "with a zero byte", capture: "a\0b" },
  { case: "with half a surrogate pair", capture: "a\ud800" },
  { case: "of 64 bytes, which PostgreSQL would cut to somebody else's", capture: "é".repeat(32) },
])("withIdentity() refuses a name $case", ({ capture }) => {
  assert.throws(() => withIdentity(parseTarget("postgres://\\1@h"), fillWith(capture)), {
    sqlstate: "28000",
  });
});

Deno.test("withIdentity() takes a name of 63 bytes", () => {
  const name = "x".repeat(63);
  assert.equal(withIdentity(parseTarget("postgres://\\1@h"), fillWith(name)).user, name);
});

Deno.test.each([
  { url: "postgres://localhost", local: true },
  { url: "postgres://127.0.0.1", local: true },
  { url: "postgres://127.255.3.4", local: true },
  { url: "postgres://[::1]", local: true },
  { url: "postgres://%2Frun", local: true },
  { url: "postgres://127.0.0.1.example.com", local: false },
  { url: "postgres://127.0.0.256", local: false },
  { url: "postgres://localhost.example.com", local: false },
  { url: "postgres://10.0.0.1", local: false },
  { url: "postgres://[::2]", local: false },
])("isLocal() of $url is $local", ({ url, local }) => {
  assert.equal(isLocal(parseTarget(url).hosts[0]), local);
});

function fillWith(capture: string) {
  return (text: string, encode: (captured: string) => string) =>
    text.replaceAll(/\\(\d|\{\w+\})/g, () => encode(capture));
}
