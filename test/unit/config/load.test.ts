import { describe, expect, test } from "bun:test";
import { loadConfig } from "../../../src/config/load.ts";
import { inForce, optionRows } from "../../../src/config/options.ts";
import { ConfigError } from "../../../src/config/problems.ts";
import { problemsOf, resolve } from "../../harness/config.ts";

const adminToken = "sixteen-or-more!";

describe("where values come from", () => {
  test("with nothing configured, the defaults listen on loopback without a credential", async () => {
    const config = await loadConfig({ argv: [], env: {} });
    expect(config).toMatchObject({ host: "127.0.0.1", port: 8080, adminToken: null, tokens: null, logLevel: "info" });
    expect(config).toMatchObject({ payloadMaxBytes: 1024 ** 2, idempotencyWindowMs: 120_000, slowDeadlineMs: 30_000 });
    expect([...config.applications]).toEqual([["main", { name: "main", rules: [], keys: [] }]]);
  });

  test("file, environment and flags merge in that order", async () => {
    const toml = 'port = 1\nlog-level = "warn"\npayload-max = "2MiB"\n';
    const env = { TAGCAST_PORT: "2", TAGCAST_LOG_LEVEL: "error" };
    const { config, origins } = await resolve({ toml, env, argv: ["--port", "3"] });
    expect(config).toMatchObject({ port: 3, logLevel: "error", payloadMaxBytes: 2 * 1024 ** 2, depthMax: 64 });
    expect(["port", "log-level", "payload-max", "depth-max"].map((key) => origins.get(key))).toEqual([
      "--port",
      "TAGCAST_LOG_LEVEL",
      "/etc/tagcast.toml",
      "default",
    ]);
  });

  test("--config names the file before TAGCAST_CONFIG does", async () => {
    const files = { "/a.toml": "port = 1", "/b.toml": "port = 2" };
    const env = { TAGCAST_CONFIG: "/a.toml" };
    expect((await resolve({ files, env })).config.port).toBe(1);
    const { config, file } = await resolve({ files, env, argv: ["--config=/b.toml"] });
    expect([config.port, file]).toEqual([2, "/b.toml"]);
  });

  test("an empty variable is not set, and other variables are not looked at", async () => {
    const { config } = await resolve({
      env: { TAGCAST_PORT: "", TAGCAST_TOKEN: "x", TAGCAST_PORT_8080_TCP: "tcp://x" },
    });
    expect(config.port).toBe(8080);
  });

  test("flags take their value after a space or an equals sign; the last one counts, lists are joined", async () => {
    const argv = [
      "--port",
      "1",
      "--port=2",
      "--allowed-origins",
      "https://a.example",
      "--allowed-origins=https://b.example",
    ];
    const { config } = await resolve({ argv: [...argv, "--admin-token=--16-characters=x"] });
    expect(config.port).toBe(2);
    expect(config.allowedOrigins).toEqual(["https://a.example", "https://b.example"]);
    expect(config.adminToken).toBe("--16-characters=x");
  });

  test("a boolean flag alone means true", async () => {
    expect((await resolve({ argv: ["--echo-for-tests"] })).config.echoForTests).toBe(true);
    expect((await resolve({ argv: ["--echo-for-tests", "--port", "1"] })).config).toMatchObject({
      echoForTests: true,
      port: 1,
    });
    expect((await resolve({ argv: ["--echo-for-tests=false"] })).config.echoForTests).toBe(false);
    expect((await resolve({ argv: ["--echo-for-tests", "false"] })).config.echoForTests).toBe(false);
  });

  test("roles come as a list or one by one, from file, environment or flags", async () => {
    const given = async (texts: Parameters<typeof resolve>[0]) => (await resolve(texts)).config.roles;
    expect(await given({})).toEqual(["gateway", "api"]);
    expect(await given({ toml: 'role = ["api"]' })).toEqual(["api"]);
    expect(await given({ toml: 'role = ["api"]', env: { TAGCAST_ROLE: "gateway" } })).toEqual(["gateway"]);
    expect(await given({ argv: ["--role", "api,gateway"] })).toEqual(["gateway", "api"]);
    expect(await given({ env: { TAGCAST_ROLE: "api" }, argv: ["--role", "gateway", "--role=api"] })).toEqual([
      "gateway",
      "api",
    ]);
    const [problem, ...others] = await problemsOf({ argv: ["--role", "gatway"] });
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ key: "role", origin: "--role" });
    expect(problem?.message).toStartWith('expected one or more of "gateway", "api"');
    expect(await problemsOf({ argv: ["--role="] })).toHaveLength(1);
  });

  test("a path in the file is relative to the file, elsewhere it is left as it is", async () => {
    expect((await resolve({ toml: 'tokens = "tokens.json"' })).config.tokens).toBe("/etc/tokens.json");
    expect((await resolve({ toml: 'tokens = "/var/t.json"' })).config.tokens).toBe("/var/t.json");
    expect((await resolve({ toml: 'tokens = "x"', argv: ["--tokens", "t.json"] })).config.tokens).toBe("t.json");
  });

  test("the result cannot be changed anywhere", async () => {
    const { config } = await resolve({ toml: '[[tags]]\npattern = "a"\nhistory = { size = 1 }' });
    const main = config.applications.get("main")!;
    const history = main.rules[0]!.history!;
    for (const part of [config, config.allowedOrigins, main, main.rules, main.rules[0], history]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    expect(() => (config.applications as Map<string, unknown>).set("x", 1)).toThrow(TypeError);
    expect(() => (config.applications as Map<string, unknown>).clear()).toThrow(TypeError);
  });
});

test("a limit that is 0 is off: what holds in its place bounds nothing, or what the program can do at all", async () => {
  const keys = optionRows.flatMap(([, option]) => ("off" in option ? [option.key] : []));
  expect(keys.length).toBeGreaterThan(15);
  const { config } = await resolve({ argv: keys.map((key) => `--${key}=0`) });
  expect(config).toMatchObject({ slowDeadlineMs: 0, depthMax: 0 });
  const held = inForce(config);
  expect(held).toMatchObject({
    slowDeadlineMs: Infinity,
    depthMax: 512,
    payloadMaxBytes: 1024 ** 3,
    connectionsMax: 0,
  });
  expect(inForce((await resolve({})).config)).toMatchObject({ slowDeadlineMs: 30_000, depthMax: 64 });
});

describe("problems", () => {
  test("all are told at once, each with its key, its origin and what is expected", async () => {
    const toml =
      'depth-max = -1\nprot = 1\n[[tags]]\npattern = "a#"\n[[keys]]\nalgorithm = "none"\n[applications.Big]\n';
    const found = await problemsOf({
      toml,
      env: { TAGCAST_LOG_LEVEL: "loud" },
      argv: ["--port", "65536", "--payload-max=65MiB", "--bogus", "--shutdown-timeout"],
    });
    expect(found.map(({ key, origin }) => `${key} < ${origin}`).toSorted()).toEqual(
      [
        "--bogus < --bogus",
        "shutdown-timeout < --shutdown-timeout",
        "prot < /etc/tagcast.toml",
        "port < --port",
        "depth-max < /etc/tagcast.toml",
        "payload-max < --payload-max",
        "log-level < TAGCAST_LOG_LEVEL",
        "tags #1 pattern < /etc/tagcast.toml",
        "keys #1 algorithm < /etc/tagcast.toml",
        "applications.Big < /etc/tagcast.toml",
      ].toSorted(),
    );
    const message = (key: string) => found.find((problem) => problem.key === key)?.message;
    expect(message("port")).toBe('expected an integer from 0 to 65535, got "65536"');
    expect(message("depth-max")).toBe("expected 0 for off, or an integer from 1 to 512, got -1");
    expect(message("prot")).toBe('unknown key, did you mean "port"?');
    expect(message("shutdown-timeout")).toBe("needs a value: --shutdown-timeout <value>");
  });

  test("the error's text holds every problem on a line of its own", async () => {
    const error = await loadConfig({ argv: ["--port=x", "--depth-max=x"], env: {} }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message.split("\n")).toEqual([
      "2 problems in the configuration:",
      '  port (--port): expected an integer from 0 to 65535, got "x"',
      '  depth-max (--depth-max): expected 0 for off, or an integer from 1 to 512, got "x"',
    ]);
  });

  test("a bad value is told even where a later layer overrides it", async () => {
    const found = await problemsOf({ toml: "port = 0.5", argv: ["--port", "1"] });
    expect(found.map(({ key, origin }) => [key, origin])).toEqual([["port", "/etc/tagcast.toml"]]);
  });

  test.each([
    ["--host 0.0.0.0", ["--host", "0.0.0.0"]],
    ["--host ::", ["--host=::"]],
    ["a name", ["--host", "box.example.com"]],
  ])("listening beyond loopback needs a credential: %s", async (_, argv) => {
    const [problem, ...others] = await problemsOf({ argv });
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ key: "host", origin: "--host" });
    expect(problem?.message).toContain("give --admin-token, --tokens, --store, --redis or [[keys]]");
  });

  test.each([
    { argv: ["--admin-token", adminToken] },
    { argv: ["--tokens", "t.json"] },
    { argv: ["--redis", "redis://r"] },
    { argv: ["--store", "store.db"] },
    { toml: `[[keys]]\nalgorithm = "HS256"\nsecret = "${"s".repeat(32)}"` },
    { toml: `[[applications.b.keys]]\nalgorithm = "HS256"\nsecret = "${"s".repeat(32)}"` },
  ])("any credential allows a host beyond loopback: %j", async (texts) => {
    expect(await problemsOf({ ...texts, env: { TAGCAST_HOST: "0.0.0.0" } })).toEqual([]);
  });

  test("managed tokens are in one place: a file or Redis", async () => {
    const found = await problemsOf({ argv: ["--redis", "redis://r"], env: { TAGCAST_TOKENS: "t.json" } });
    expect(found).toEqual([
      {
        key: "tokens",
        origin: "TAGCAST_TOKENS",
        message: expect.stringContaining("with redis (--redis) managed tokens"),
      },
    ]);
  });

  test.each([
    ["store", ["--redis", "redis://r"], { TAGCAST_STORE: "s.db" }, "with redis (--redis) logs are kept there"],
    ["tokens", ["--tokens", "t.json"], { TAGCAST_STORE: "s.db" }, "with store (TAGCAST_STORE) managed tokens"],
  ] as const)("logs are in one place, and managed tokens are: %s", async (key, argv, env, message) => {
    expect(await problemsOf({ argv: [...argv], env })).toMatchObject([
      { key, message: expect.stringContaining(message) },
    ]);
  });

  test.each([
    ["history", "history = { size = 5 }"],
    ["retain", "retain = true"],
    ["presence", "presence = true"],
  ])("what is kept of a local tag would be in Redis, for all instances: %s is refused there", async (what, line) => {
    const toml = `[[tags]]\npattern = "room/#"\nlocal = true\n${line}\n[[tags]]\npattern = "here/#"\nlocal = true\n`;
    expect(await problemsOf({ toml })).toEqual([]);
    const found = await problemsOf({ toml, argv: ["--redis", "redis://r"] });
    expect(found).toEqual([{ key: "tags", origin: "/etc/tagcast.toml", message: expect.stringContaining(what) }]);
    expect(found[0]?.message).toStartWith('the rule for "room/#" has local = true');
    const other = toml.replaceAll("[[tags]]", "[[applications.b.tags]]");
    expect(await problemsOf({ toml: other, argv: ["--redis", "redis://r"] })).toHaveLength(1);
  });

  test("echo for tests is refused beyond loopback, also with a credential", async () => {
    const found = await problemsOf({ argv: ["--host", "::", "--admin-token", adminToken, "--echo-for-tests"] });
    expect(found.map(({ key }) => key)).toEqual(["echo-for-tests"]);
  });

  test.each([
    "short",
    "fifteen-chars-x",
    " leading-space-16",
    "trailing-space-16 ",
    "tab\tin-the-middle-",
    "ünicode-of-16-chars",
    "x".repeat(8193),
  ])("the admin token %p is refused and never shown", async (token) => {
    const [problem, ...others] = await problemsOf({ env: { TAGCAST_ADMIN_TOKEN: token } });
    expect(others).toEqual([]);
    expect(problem?.message).toStartWith("expected 16 to 8192 printable ASCII characters");
    expect(JSON.stringify(problem)).not.toContain(token.trim());
  });

  test("any printable admin token of 16 characters will do", async () => {
    for (const token of ["sixteen-or-more!", "with a space 1234", "\"quotes\\and#%&'16"]) {
      expect((await resolve({ argv: [`--admin-token=${token}`] })).config.adminToken).toBe(token);
    }
  });

  test("what follows a mistyped flag is taken for its value and not shown", async () => {
    const found = await problemsOf({
      argv: ["--admin-tokn", "a-secret-that-is-long", "--admin-toke=a-secret-that-is-long"],
    });
    expect(found.map(({ message }) => message)).toEqual(Array(2).fill('unknown flag, did you mean "--admin-token"?'));
    expect(JSON.stringify(found)).not.toContain("a-secret");
  });

  test("an argument that is no flag is told", async () => {
    expect(await problemsOf({ argv: ["8080"] })).toMatchObject([
      { message: 'unexpected argument "8080": options begin with --' },
    ]);
  });

  test("the variable that Kubernetes sets for a service called tagcast is recognised", async () => {
    const [problem] = await problemsOf({ env: { TAGCAST_PORT: "tcp://10.0.0.1:8080" } });
    expect(problem?.message).toContain("enableServiceLinks: false");
  });

  test("input cannot write to the terminal through a message", async () => {
    const error = await loadConfig({ argv: ["--host=a\u001b[2J\nforged\u009b"], env: {} }).catch(
      (reason: Error) => reason,
    );
    expect((error as Error).message.split("\n")).toHaveLength(2);
    expect((error as Error).message).not.toMatch(/\p{Cc}(?<!\n)/u);
  });
});

describe("the file", () => {
  test("that does not exist is one problem, and others are still told", async () => {
    const found = await problemsOf({ argv: ["--config", "/none.toml", "--port", "x"] });
    expect(found.map(({ message }) => message)).toEqual([
      'cannot read "/none.toml": no such file',
      'expected an integer from 0 to 65535, got "x"',
    ]);
  });

  test("that cannot be read does not count as one without credentials", async () => {
    const found = await problemsOf({ argv: ["--config", "/none.toml", "--host", "0.0.0.0"] });
    expect(found.map(({ key }) => key)).toEqual(["config"]);
  });

  test.each([
    ["an equals sign without a value", "port = 1\n\nhost = \nlog-level = 'info'", 3],
    ["an unclosed array", "port = 1\nallowed-origins = [\n'a',\n", 2],
    ["a key twice", "port = 1\nport = 2", 2],
    ["the only line", "port", 1],
  ])("with a syntax error is told with its name and line: %s", async (_, toml, line) => {
    const [problem, ...others] = await problemsOf({ toml });
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ key: "config", origin: "/etc/tagcast.toml" });
    expect(problem?.message).toStartWith(`not valid TOML, line ${line}: `);
  });

  test("whose secret lacks its quotes does not show it", async () => {
    const [problem] = await problemsOf({ toml: "port = 1\nadmin-token = unquotedsecret1234\n" });
    expect(problem?.message).toBe("not valid TOML, line 2: Strings must be quoted");
  });

  test("cannot name another file, nor use names of JavaScript objects", async () => {
    const found = await problemsOf({ toml: 'config = "b.toml"\n__proto__ = 1\nconstructor = 2\n' });
    expect(found.map(({ key, message }) => `${key}: ${message}`)).toEqual([
      "config: a file cannot name another: use --config",
      "__proto__: unknown key",
      "constructor: unknown key",
    ]);
  });
});
