import { writeFileSync } from "node:fs";
import { fieldCoverage } from "./field-coverage.ts";
import { fieldTable } from "./field-table.ts";

/** The second half of `npm run crds`. */
writeFileSync("docs/reference/fields.md", fieldTable(fieldCoverage().fields));
