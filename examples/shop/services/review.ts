import type { ServiceRoutes } from "../lib/service.ts";
import { runService } from "../lib/service.ts";

interface Review {
  readonly reviewer: string;
  readonly text: string;
  /** 1..5 */
  readonly stars: number;
}

const reviews: readonly (readonly Review[])[] = [
  [
    { reviewer: "Mara", text: "Warm, and it survived the washing machine.", stars: 5 },
    { reviewer: "Jonas", text: "A little scratchy at first.", stars: 4 },
  ],
  [
    { reviewer: "Ilse", text: "Weaves a scarf in one evening.", stars: 5 },
    { reviewer: "Piet", text: "Good loom, thin manual.", stars: 3 },
  ],
  [
    { reviewer: "Nuria", text: "The colours are exactly as in the picture.", stars: 5 },
    { reviewer: "Olaf", text: "I would have liked a bigger spool.", stars: 4 },
  ],
];

/** What buyers say. v1 has words only, v2 adds black stars, v3 red ones. */
export function reviewRoutes(version: string): ServiceRoutes {
  const color = version === "v1" ? undefined : version === "v2" ? "black" : "red";
  return {
    "GET /reviews/:product": (_request, { product = "" }) => {
      const found = reviews[(Number(product) - 1) % reviews.length] ?? [];
      return {
        body: {
          product: Number(product),
          reviews: found.map(({ reviewer, text, stars }) => ({
            reviewer,
            text,
            ...(color === undefined ? {} : { rating: { stars, color } }),
          })),
        },
      };
    },
  };
}

if (import.meta.main) {
  await runService({ name: "review", routes: reviewRoutes(process.env.VERSION ?? "v1") });
}
