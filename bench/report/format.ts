/** Numbers as people read them: three digits, a unit that suits their size. */
import type { Unit } from "./metrics.ts";
import type { Spread } from "./statistics.ts";

const times = [
  ["ns", 1],
  ["µs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
] as const;
const sizes = [
  ["B", 1],
  ["kB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
] as const;

/** `1234, "ns"` → `1.23 µs`; no number → `–`. */
export function quantity(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (unit === "B") return scaled(value, sizes);
  if (unit === "per second") return `${count(value)}/s`;
  const time = times.find(([name]) => name === unit);
  if (time !== undefined) return scaled(value * time[1], times);
  return unit === "" ? digits(value) : `${digits(value)} ${unit}`;
}

/** `1234567` → `1.23 M`. */
export function count(value: number): string {
  if (Math.abs(value) >= 999_500) return `${digits(value / 1e6)} M`;
  return Math.abs(value) >= 10_000 ? `${digits(value / 1e3)} k` : digits(value);
}

/** `0.347` → `×0.35`; what is below a tenth keeps two digits. */
export function factor(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return `×${value >= 0.1 && value < 10 ? value.toFixed(2) : digits(value, 2)}`;
}

/** `0.0179` → `1/56`. */
export function fraction(value: number): string {
  return `1/${digits(1 / value, 2)}`;
}

/** `0.3 – 0.4`; nothing → `–`. */
export function range(value: Spread | null, format: (value: number) => string): string {
  return value === null ? "–" : `${format(value.min)} – ${format(value.max)}`;
}

/** `0.9` → `−10 %`; `1.05` → `+5 %`. */
export function change(ratio: number): string {
  const percent = (ratio - 1) * 100;
  const text = Math.abs(percent) < 9.95 ? percent.toFixed(1) : percent.toFixed(0);
  return `${percent > 0 ? "+" : ""}${text.replace("-", "−")} %`;
}

/** At least `significant` digits (default 3), never an exponent; whole numbers from a hundred on. */
export function digits(value: number, significant = 3): string {
  if (value === 0) return "0";
  // 999.9 has four digits before the point once it is rounded to three.
  const before = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(significant))))) + 1;
  return value.toFixed(Math.min(6, Math.max(0, significant - before)));
}

function scaled(value: number, units: readonly (readonly [name: string, size: number])[]): string {
  let [name, size] = units[0] ?? ["", 1];
  for (const unit of units) if (Math.abs(value) >= 0.9995 * unit[1]) [name, size] = unit;
  return `${digits(value / size)} ${name}`;
}

/** Columns of a table, padded: the first to the left, the others to the right. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, width(cell));
  const pad = (cell: string, i: number) => {
    const space = " ".repeat((widths[i] ?? 0) - width(cell));
    return i === 0 ? cell + space : space + cell;
  };
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

/** A table of Markdown; columns of numbers stand to the right. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const isNumber = (cell: string) => cell === "" || /^[×–\d]/.test(cell);
  const rule = header.map((_, i) => (i > 0 && rows.every((cells) => isNumber(cells[i] ?? "")) ? "---:" : "---"));
  return [line(header), line(rule), ...rows.map(line)].join("\n");
}

function width(text: string): number {
  return Bun.stringWidth(text);
}
