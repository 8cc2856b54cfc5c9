/** The runner in a browser: the controller serves it. */
import { serve } from "./runner.ts";

const control = new URL("/control", import.meta.url);
control.protocol = "ws:";
await serve(control.href);
