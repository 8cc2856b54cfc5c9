/** examples/kubernetes against the schemas of the API, against itself, and against what this server knows. */
import { describe, expect, test } from "bun:test";
import { optionRows, variableOf } from "../../../src/config/options.ts";
import { parseValue } from "../../../src/config/values.ts";
import { metricTable } from "../../../src/observe/metric-table.ts";
import { resolve } from "../../harness/config.ts";
import { isTree, manifestProblems, type Tree } from "../../harness/kubernetes.ts";
import { filesIn, read } from "../../harness/source-tree.ts";

const folder = "examples/kubernetes";
/** Files for other programs than the API server. */
const foreign = ["kustomization.yaml", "prometheus-adapter.yaml", "prometheus-scrape.yaml"];
const names = filesIn(folder, "*.yaml").map((path) => path.slice(folder.length + 1));
const parsed = new Map(
  await Promise.all(names.map(async (name) => [name, Bun.YAML.parse(await read(`${folder}/${name}`))] as const)),
);
const manifests = names.filter((name) => !foreign.includes(name));

/** What stands at a path such as `spec/template/spec/containers/0`. */
function at(name: string, path: string): unknown {
  return path.split("/").reduce<unknown>((tree, key) => (isTree(tree) ? tree[key] : undefined), parsed.get(name));
}

const textAt = (name: string, path: string) => at(name, path) as string;
const numberAt = (name: string, path: string) => at(name, path) as number;
const treeAt = (name: string, path: string) => at(name, path) as Tree;
const treesAt = (name: string, path: string) => at(name, path) as readonly Tree[];

const pod = "spec/template/spec";
const container = `${pod}/containers/0`;

describe("the schemas of the API", () => {
  test.each(manifests)("take %s", (name) => {
    expect(manifestProblems(parsed.get(name))).toEqual([]);
  });

  /** Where people choose the keys, as they do for labels, which have a slash here. */
  const free = new Set(["data", "stringData", "requests", "limits"]);

  /** Each copy of a tree in which one field has another name. */
  function misspelt(tree: Tree): Tree[] {
    return Object.entries(tree).flatMap(([name, value]) => {
      if (name.includes("/")) return [];
      const others = Object.entries(tree).filter(([other]) => other !== name);
      const within = isTree(value) && !free.has(name) ? inside(value) : [];
      return [
        Object.fromEntries([...others, [`${name}s`, value]]),
        ...within.map((wrong) => Object.assign({}, tree, { [name]: wrong })),
      ];
    });
  }

  function inside(value: Tree): unknown[] {
    if (!Array.isArray(value)) return misspelt(value);
    return value.flatMap((item, i) => (isTree(item) ? inside(item).map((wrong) => value.with(i, wrong)) : []));
  }

  test.each(manifests)("refuse every misspelt field of %s", (name) => {
    const wrong = misspelt(parsed.get(name) as Tree);
    expect(wrong.length).toBeGreaterThan(5);
    expect(wrong.filter((tree) => manifestProblems(tree).length === 0)).toEqual([]);
  });

  test.each([
    ["a number that is a word", { replicas: "three" }],
    ["a list that is none", { template: { spec: { containers: {} } } }],
    ["a field that is missing", { selector: undefined }],
    ["a unit that does not exist", { minReadySeconds: "10s" }],
  ])("refuse %s", (_, wrong) => {
    const manifest = parsed.get("deployment.yaml") as Tree;
    expect(manifestProblems({ ...manifest, spec: { ...(manifest["spec"] as Tree), ...wrong } })).not.toEqual([]);
  });

  test("refuse kinds and versions that there are not", () => {
    expect(manifestProblems({ apiVersion: "apps/v2", kind: "Deployment" })).toEqual([
      "no schema for apps/v2 Deployment",
    ]);
    expect(manifestProblems(null)).toEqual(["no schema for nothing"]);
  });
});

describe("the manifests among themselves", () => {
  test("kustomization.yaml names each of them", () => {
    expect((at("kustomization.yaml", "resources") as string[]).toSorted()).toEqual(manifests.toSorted());
  });

  test("whoever selects pods selects those of the Deployment", () => {
    const labels = treeAt("deployment.yaml", "spec/template/metadata/labels");
    expect(Object.keys(labels).length).toBeGreaterThan(0);
    expect(at("service.yaml", "spec/selector")).toEqual(labels);
    for (const name of ["deployment.yaml", "disruption-budget.yaml"]) {
      expect(at(name, "spec/selector/matchLabels")).toEqual(labels);
    }
    for (const spread of treesAt("deployment.yaml", `${pod}/topologySpreadConstraints`)) {
      expect(spread["labelSelector"]).toEqual({ matchLabels: labels });
    }
  });

  test("the autoscaler scales the Deployment, which names no number of its own", () => {
    const { apiVersion, kind, name } = treeAt("autoscaler.yaml", "spec/scaleTargetRef");
    expect([apiVersion, kind, name]).toEqual([
      at("deployment.yaml", "apiVersion"),
      at("deployment.yaml", "kind"),
      at("deployment.yaml", "metadata/name"),
    ]);
    expect(treeAt("deployment.yaml", "spec")["replicas"]).toBeUndefined();
  });

  test("ports, volumes and keys that are referred to are there", () => {
    const port = textAt("deployment.yaml", `${container}/ports/0/name`);
    expect(at("service.yaml", "spec/ports/0/targetPort")).toBe(port);
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
      expect(at("deployment.yaml", `${container}/${probe}/httpGet/port`)).toBe(port);
    }
    const volumes = treesAt("deployment.yaml", `${pod}/volumes`).map((volume) => volume["name"]);
    expect(treesAt("deployment.yaml", `${container}/volumeMounts`).map((mount) => mount["name"])).toEqual(volumes);
    expect(at("deployment.yaml", `${pod}/volumes/0/configMap/name`)).toBe(at("configmap.yaml", "metadata/name"));
    const keys = treesAt("deployment.yaml", `${container}/env`).flatMap(({ valueFrom }) =>
      isTree(valueFrom) ? [valueFrom["secretKeyRef"] as Tree] : [],
    );
    expect(keys.map(({ key }) => String(key)).toSorted()).toEqual(
      Object.keys(treeAt("secret.yaml", "stringData")).toSorted(),
    );
    for (const { name } of keys) expect(name).toBe(at("secret.yaml", "metadata/name"));
  });
});

describe("what the server knows", () => {
  test("are the variables, the port and the configuration", async () => {
    const given = treesAt("deployment.yaml", `${container}/env`);
    const secrets = treeAt("secret.yaml", "stringData");
    const env: Record<string, string> = {};
    for (const { name, value, valueFrom } of given) {
      const key = isTree(valueFrom) ? (valueFrom["secretKeyRef"] as Tree)["key"] : undefined;
      if (name !== "TAGCAST_CONFIG") env[String(name)] = String(value ?? secrets[String(key)]);
    }
    const known = optionRows.map(([, option]) => variableOf(option.key));
    expect(Object.keys(env).filter((name) => !known.includes(name))).toEqual([]);
    const { config } = await resolve({ toml: textAt("configmap.yaml", "data/tagcast.toml"), env });
    expect(config.port).toBe(numberAt("deployment.yaml", `${container}/ports/0/containerPort`));
    expect(config.applications.get("main")?.rules.length).toBeGreaterThan(0);
    const file = given.find(({ name }) => name === "TAGCAST_CONFIG")?.["value"];
    expect(file).toBe(`${textAt("deployment.yaml", `${container}/volumeMounts/0/mountPath`)}/tagcast.toml`);
  });

  test("is how long it takes to stop", () => {
    const given = treesAt("deployment.yaml", `${container}/env`);
    const timeout = given.find(({ name }) => name === "TAGCAST_SHUTDOWN_TIMEOUT")?.["value"];
    const timeoutMs = parseValue({ kind: "duration", min: 0, max: 600_000 }, timeout) as number;
    const before = numberAt("deployment.yaml", `${container}/lifecycle/preStop/sleep/seconds`);
    const grace = numberAt("deployment.yaml", `${pod}/terminationGracePeriodSeconds`);
    expect(before + timeoutMs / 1000).toBeLessThan(grace);
  });

  test("are the metrics that the autoscaler and Prometheus name", () => {
    const known = metricTable.map(({ name }) => name);
    const scaled = textAt("autoscaler.yaml", "spec/metrics/0/pods/metric/name");
    expect(at("prometheus-adapter.yaml", "rules/custom/0/name/as")).toBe(scaled);
    const queries = ["seriesQuery", "metricsQuery"].map((key) =>
      at("prometheus-adapter.yaml", `rules/custom/0/${key}`),
    );
    const named = queries.join(" ").match(/tagcast_\w+/g) ?? [];
    expect(named).toContain(scaled);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
    const { regex } = treeAt("prometheus-scrape.yaml", "scrape_configs/0/relabel_configs/0");
    const label = treeAt("deployment.yaml", "spec/template/metadata/labels")["app.kubernetes.io/name"];
    expect(regex).toBe(`${String(label)};${textAt("deployment.yaml", `${container}/ports/0/name`)}`);
  });
});
