/** Why a goal is missed and what the floor is, written by hand; the report prints it beside the goal. */

/** By `work: goal` as in `goals.ts`. */
export const notes: Readonly<Record<string, string>> = {};
