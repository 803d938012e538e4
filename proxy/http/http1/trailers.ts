import { HeaderList } from "../header-list.ts";
import { mayTrail } from "../trailer-fields.ts";
import { fieldCount, fieldMarks } from "./field-section.ts";

/** Makes the trailers that may pass from the marks of the last scan of `bytes`; undefined when none are left. */
export function trailersFromMarks(bytes: Buffer): HeaderList | undefined {
  let trailers: HeaderList | undefined;
  for (let mark = 0; mark < fieldCount * 4; mark += 4) {
    const name = bytes.toString("latin1", fieldMarks[mark]!, fieldMarks[mark + 1]!);
    if (!mayTrail(name.toLowerCase())) continue;
    trailers ??= new HeaderList();
    trailers.raw.push(name, bytes.toString("latin1", fieldMarks[mark + 2]!, fieldMarks[mark + 3]!));
  }
  return trailers;
}
