// Loaded before tsx: its hook hands tsx the source of one module with a defect in it. Nothing of the product knows.
import { register } from "node:module";

register("./hook.mjs", import.meta.url, { data: JSON.parse(process.env.CALLWEAVE_FUZZ_DEFECT ?? "null") });
