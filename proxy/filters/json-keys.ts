/**
 * Whether an object anywhere in a JSON text names a key twice: parsers disagree on which of the two counts, so a token with both is no
 * token (case 40 of the threat list). Takes text that JSON.parse takes.
 */
export function hasDuplicateKeys(json: string): boolean {
  const keys: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  for (let i = 0; i < json.length; i++) {
    const char = json[i]!;
    if (char === '"') {
      const end = stringEnd(json, i);
      const top = keys.at(-1);
      if (expectsKey && top !== undefined) {
        const key = JSON.parse(json.slice(i, end + 1)) as string;
        if (top.has(key)) return true;
        top.add(key);
      }
      expectsKey = false;
      i = end;
    } else if (char === "{") {
      keys.push(new Set());
      expectsKey = true;
    } else if (char === "[") {
      keys.push(undefined);
      expectsKey = false;
    } else if (char === "}" || char === "]") keys.pop();
    else if (char === ",") expectsKey = keys.at(-1) !== undefined;
  }
  return false;
}

function stringEnd(json: string, start: number): number {
  for (let i = start + 1; i < json.length; i++) {
    if (json[i] === "\\") i++;
    else if (json[i] === '"') return i;
  }
  return json.length;
}
