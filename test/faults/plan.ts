/** What is injected when, from a seed alone. */
import type { Random } from "../harness/random.ts";
import type { Fault } from "./faults.ts";

export interface Injection {
  readonly fault: Fault;
  readonly target: number;
  readonly holdMs: number;
}

/** What goes on at one time. */
export type Step = readonly Injection[];

/** Each fault once. Those of instances that take long go on at one time, each at an instance of its own. */
export function shortPlan(faults: readonly Fault[], instances: number, random: Random): Step[] {
  const order = random.shuffle(faults);
  const isLong = ({ scope, holdMs }: Fault) => scope === "instance" && holdMs >= 10_000;
  const targets = random.shuffle(Array.from({ length: instances }, (_, i) => i));
  const long = order.filter(isLong).map((fault, i) => ({ fault, target: targets[i]!, holdMs: fault.holdMs }));
  const steps: Step[] = order
    .filter((fault) => !isLong(fault))
    .map((fault) => [{ fault, target: random.int(instances), holdMs: fault.holdMs }]);
  if (long.length > 0) steps.splice(random.int(steps.length + 1), 0, long);
  return steps;
}

/** At least `count` faults, each of all equally often; now and then two at one time. */
export function longPlan(faults: readonly Fault[], instances: number, count: number, random: Random): Step[] {
  const bag: Fault[] = [];
  const draw = () => {
    if (bag.length === 0) bag.push(...random.shuffle(faults));
    return bag.pop()!;
  };
  const steps: Step[] = [];
  for (let planned = 0; planned < count;) {
    const step: Injection[] = [injection(draw(), random.int(instances), random)];
    // Two of Redis at once would be one; two at one instance too.
    if (random.chance(0.3)) {
      const other = draw();
      const isOther = step[0]!.fault.scope !== other.scope || other.scope === "instance";
      if (isOther) step.push(injection(other, (step[0]!.target + 1) % instances, random));
      else bag.push(other);
    }
    steps.push(step);
    planned += step.length;
  }
  return steps;
}

/** One instance after the other is restarted in order. */
export function rollingPlan(faults: readonly Fault[], instances: number): Step[] {
  const fault = faults.find(({ name }) => name === "instance restarted in order")!;
  return Array.from({ length: instances }, (_, target) => [{ fault, target, holdMs: fault.holdMs }]);
}

function injection(fault: Fault, target: number, random: Random): Injection {
  return { fault, target, holdMs: random.between(Math.min(fault.holdMs, 500), fault.holdMaxMs) };
}

export function describeStep(step: Step): string {
  return step
    .map(({ fault, target, holdMs }) => {
      const at = fault.scope === "instance" ? ` (instance ${target})` : "";
      return `${fault.name}${at}${holdMs > 0 ? ` for ${(holdMs / 1000).toFixed(1)} s` : ""}`;
    })
    .join(", and ");
}
