import fc from "fast-check";

/**
 * Property tests draw the same examples in every run, so a red run is a change and not a chance. Look for new ones with
 * `WEFT_SEED=random npm run test:unit`, or with a number; fast-check prints the seed of what it finds.
 */
const asked = process.env["WEFT_SEED"];
if (asked !== "random") fc.configureGlobal({ seed: Number(asked ?? 20_261_122) });
