/** Names of resources in the order in which they may claim something only one can have: who was there before, then who comes. */
export function inOrderOfRight(
  all: ReadonlyMap<string, unknown>,
  arriving: ReadonlyMap<string, unknown>,
): string[] {
  const names = [...all.keys()];
  return [...names.filter((name) => !arriving.has(name)), ...names.filter((name) => arriving.has(name))];
}
