/** Draws Vega-Lite specifications as SVG. The libraries are in `bench/report/package.json`: `bun run bench:setup` installs them. */

/** What is used of `vega` and `vega-lite`: both are absent where nothing is drawn, so their own types are not imported. */
interface Vega {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: { renderer: "none" }) => { toSVG(): Promise<string>; finalize(): void };
  resetSVGDefIds(): void;
}
interface VegaLite {
  compile(spec: unknown): { readonly spec: unknown };
}

/** @throws Error where the libraries are not installed */
export async function assertRenderer(): Promise<void> {
  await libraries();
}

/** @throws as above */
export async function render(spec: unknown): Promise<string> {
  const [vega, lite] = await libraries();
  const view = new vega.View(vega.parse(lite.compile(spec).spec), { renderer: "none" });
  try {
    // Names inside a drawing are counted on from one drawing to the next.
    vega.resetSVGDefIds();
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}

async function libraries(): Promise<[Vega, VegaLite]> {
  return await Promise.all([load<Vega>("vega"), load<VegaLite>("vega-lite")]);
}

async function load<T>(name: string): Promise<T> {
  try {
    return (await import(name)) as T;
  } catch (error) {
    throw new Error(`Plots need ${name}: bun run bench:setup`, { cause: error });
  }
}
