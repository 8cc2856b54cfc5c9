#!/usr/bin/env bun
/** The program `tagcast`. */
import { openProcessIo } from "./cli/process.ts";
import { run } from "./cli/run.ts";

const io = openProcessIo();
io.exit(await run(process.argv.slice(2), io));
