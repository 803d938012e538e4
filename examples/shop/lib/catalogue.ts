import { DatabaseSync } from "node:sqlite";

export interface Product {
  readonly id: number;
  readonly name: string;
  readonly kind: string;
  readonly description: string;
  /** Cents. */
  readonly price: number;
}

const seed: readonly Omit<Product, "id">[] = [
  {
    name: "Wool blanket",
    kind: "fabric",
    description: "Woven in twill from merino wool, 140 × 200 cm.",
    price: 8900,
  },
  {
    name: "Table loom",
    kind: "tool",
    description: "Beech, 60 cm wide, with reed and two shuttles.",
    price: 24900,
  },
  {
    name: "Linen yarn",
    kind: "yarn",
    description: "One spool of 250 g, bleached without chlorine.",
    price: 1450,
  },
  {
    name: "Cotton towel",
    kind: "fabric",
    description: "Waffle weave, dries anything including itself.",
    price: 1990,
  },
  { name: "Boat shuttle", kind: "tool", description: "Olive wood, carries a 10 cm bobbin.", price: 2950 },
  { name: "Silk yarn", kind: "yarn", description: "Mulberry silk, 100 g, dyed with madder.", price: 3600 },
];

/** The products in SQLite. An empty database is given the seed, so that a new file or `:memory:` is a shop at once. */
export class Catalogue {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** `file` is a path or `:memory:`. */
  static open(file: string): Catalogue {
    const database = new DatabaseSync(file);
    // Two versions may share the file, and one of them may be seeding it just now.
    database.exec("PRAGMA busy_timeout = 2000");
    database.exec(
      `CREATE TABLE IF NOT EXISTS product
       (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, description TEXT NOT NULL, price INTEGER NOT NULL)`,
    );
    const insert = database.prepare(
      "INSERT OR IGNORE INTO product (name, kind, description, price) VALUES (?, ?, ?, ?)",
    );
    for (const { name, kind, description, price } of seed) insert.run(name, kind, description, price);
    return new Catalogue(database);
  }

  all(): readonly Product[] {
    return this.#database.prepare("SELECT * FROM product ORDER BY id").all().map(toProduct);
  }

  byId(id: number): Product | undefined {
    if (!Number.isSafeInteger(id)) return undefined;
    const row = this.#database.prepare("SELECT * FROM product WHERE id = ?").get(id);
    return row === undefined ? undefined : toProduct(row);
  }

  /** Up to two other products of the same kind. */
  othersLike(product: Product): readonly Product[] {
    return this.#database
      .prepare("SELECT * FROM product WHERE kind = ? AND id <> ? ORDER BY price LIMIT 2")
      .all(product.kind, product.id)
      .map(toProduct);
  }

  close(): void {
    this.#database.close();
  }
}

function toProduct(row: Record<string, unknown>): Product {
  return {
    id: Number(row.id),
    name: String(row.name),
    kind: String(row.kind),
    description: String(row.description),
    price: Number(row.price),
  };
}
