import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crdFileName, crdOf } from "./crd/crd.ts";
import { kindDefinitions } from "./index.ts";
import { formatYaml } from "./yaml.ts";

/** `npm run crds`: writes `crds/<kind>.yaml` from the schemas. */
const folder = fileURLToPath(new URL("../../crds/", import.meta.url));
mkdirSync(folder, { recursive: true });
for (const definition of kindDefinitions) {
  writeFileSync(join(folder, crdFileName(definition)), formatYaml(crdOf(definition)));
}
