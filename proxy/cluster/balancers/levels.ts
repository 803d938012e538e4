/** The endpoints of one priority, counted. */
export interface Level {
  readonly total: number;
  readonly eligible: number;
}

export interface LevelLoad {
  /** Percent of the requests. */
  readonly load: number;
  /** So few may take traffic that all take it, for the few would break too. */
  readonly isPanic: boolean;
}

/**
 * How requests divide over priorities (Envoy's "Priority levels" and "Panic threshold"): each level counts as whole while 1/1.4 of its
 * endpoints may take traffic; what a level can't take spills to the next. Whole percents, as in Envoy. `panicPercent` 0: never panic.
 */
export function divideLoad(levels: readonly Level[], panicPercent: number): readonly LevelLoad[] {
  const health = levels.map(({ total, eligible }) =>
    total === 0 ? 0 : Math.min(100, Math.floor((overprovisioning * eligible) / total)),
  );
  const sum = Math.min(
    100,
    health.reduce((all, part) => all + part, 0),
  );
  const loads = sum === 0 ? byCount(levels) : byHealth(health, sum);
  return levels.map(({ total, eligible }, index) => ({
    load: loads[index]!,
    isPanic: sum < 100 && total > 0 && (100 * eligible) / total < panicPercent,
  }));
}

function byHealth(health: readonly number[], sum: number): number[] {
  let remaining = 100;
  const loads = health.map((part) => {
    const load = Math.min(remaining, Math.floor((part * 100) / sum));
    remaining -= load;
    return load;
  });
  // What rounding left over goes to the first that can take anything.
  loads[health.findIndex((part) => part > 0)]! += remaining;
  return loads;
}

function byCount(levels: readonly Level[]): number[] {
  const all = levels.reduce((sum, { total }) => sum + total, 0);
  const loads = levels.map(({ total }) => (all === 0 ? 0 : Math.floor((100 * total) / all)));
  const first = levels.findIndex(({ total }) => total > 0);
  if (first >= 0) loads[first]! += 100 - loads.reduce((sum, load) => sum + load, 0);
  return loads;
}

/** Percent (Envoy's default overprovisioning_factor). */
export const overprovisioning = 140;
