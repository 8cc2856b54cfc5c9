/**
 * Kubernetes manifests against the schemas of its API. The package has them as compiled checks, which pass over fields
 * that they do not know; kubectl and the API server refuse these, so fields that no check has looked at are found here.
 */
import { validate as deployment } from "kubernetes-models/_schemas/IoK8sApiAppsV1Deployment";
import { validate as autoscaler } from "kubernetes-models/_schemas/IoK8sApiAutoscalingV2HorizontalPodAutoscaler";
import { validate as configMap } from "kubernetes-models/_schemas/IoK8sApiCoreV1ConfigMap";
import { validate as secret } from "kubernetes-models/_schemas/IoK8sApiCoreV1Secret";
import { validate as service } from "kubernetes-models/_schemas/IoK8sApiCoreV1Service";
import { validate as disruptionBudget } from "kubernetes-models/_schemas/IoK8sApiPolicyV1PodDisruptionBudget";

/** Of what the package says nothing: its checks leave their findings as Ajv does. */
type Check = ((manifest: unknown) => boolean) & {
  readonly errors?: readonly { readonly instancePath: string; readonly message?: string; readonly params: unknown }[];
};

const checks: ReadonlyMap<string, Check> = new Map([
  ["apps/v1 Deployment", deployment],
  ["autoscaling/v2 HorizontalPodAutoscaler", autoscaler],
  ["v1 ConfigMap", configMap],
  ["v1 Secret", secret],
  ["v1 Service", service],
  ["policy/v1 PodDisruptionBudget", disruptionBudget],
]);

export type Tree = Readonly<Record<string, unknown>>;

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null;
}

/** What is wrong with a manifest; none where the API would take it. */
export function manifestProblems(manifest: unknown): readonly string[] {
  const kind = isTree(manifest) ? `${String(manifest["apiVersion"])} ${String(manifest["kind"])}` : "nothing";
  const check = checks.get(kind);
  if (check === undefined || !isTree(manifest)) return [`no schema for ${kind}`];
  const looked = new Map<object, Set<PropertyKey>>();
  if (check(watched(manifest, looked))) return unlooked(manifest, "", looked);
  return (check.errors ?? []).map(({ instancePath, message, params }) =>
    `${instancePath} ${message ?? JSON.stringify(params)}`.trim(),
  );
}

/** The same to who reads it; keeps which fields were read. */
function watched(tree: Tree, looked: Map<object, Set<PropertyKey>>): Tree {
  const fields = looked.get(tree) ?? new Set();
  looked.set(tree, fields);
  return new Proxy(tree, {
    get(target, name) {
      fields.add(name);
      const value: unknown = Reflect.get(target, name);
      return isTree(value) ? watched(value, looked) : value;
    },
  });
}

function unlooked(tree: Tree, path: string, looked: ReadonlyMap<object, ReadonlySet<PropertyKey>>): string[] {
  return Object.entries(tree).flatMap(([name, value]) => {
    const here = `${path}/${name}`;
    if (!looked.get(tree)?.has(name)) return [`${here} is unknown`];
    return isTree(value) ? unlooked(value, here, looked) : [];
  });
}
