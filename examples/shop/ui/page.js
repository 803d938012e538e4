/** The shop's page: views by address fragment, data from the services behind the gateway. */

const view = document.querySelector("#view");
const servedBy = new Map();
let session = readSession();

const views = [
  [/^#\/product\/(\d+)$/, showProduct],
  [/^#\/cart$/, showCart],
  [/^#\/orders$/, showOrders],
  [/^/, showCatalogue],
];

window.addEventListener("hashchange", show);
document.querySelector("#sign-in").addEventListener("submit", signIn);
document.querySelector("#sign-out").addEventListener("click", signOut);
noteServedBy("ui", (await fetch("index.html", { method: "GET" })).headers.get("x-served-by"));
showSession();
await show();

async function show() {
  say("");
  const [pattern, render] = views.find(([candidate]) => candidate.test(location.hash));
  try {
    view.replaceChildren(...(await render(...(pattern.exec(location.hash) ?? []).slice(1))));
  } catch (error) {
    view.replaceChildren();
    say(error.message, true);
  }
}

async function showCatalogue() {
  const { products } = await call("/productms/products");
  const items = products.map((product) =>
    make("li", {}, [
      make("a", { href: `#/product/${product.id}` }, [
        make("span", { className: "kind" }, [product.kind]),
        make("h2", {}, [product.name]),
        make("p", {}, [product.description]),
        make("span", { className: "price" }, [money(product.price)]),
      ]),
    ]),
  );
  return [make("ul", { className: "products" }, items)];
}

async function showProduct(id) {
  const product = await call(`/productms/products/${id}`);
  const quantity = make("input", { type: "number", min: "1", max: "100", value: "1", ariaLabel: "Quantity" });
  const add = make("button", { type: "button" }, ["Put into cart"]);
  add.addEventListener("click", () =>
    act(add, async () => {
      await call("/cart/items", { productId: product.id, quantity: Number(quantity.value) });
      await countCart();
      say(`${product.name} is in your cart.`);
    }),
  );
  const parts = [
    make("article", { className: "card" }, [
      make("span", { className: "kind" }, [product.kind]),
      make("h1", {}, [product.name]),
      make("p", {}, [product.description]),
      make("p", { className: "price" }, [money(product.price)]),
      make("p", {}, [quantity, " ", add]),
    ]),
    make("h2", {}, ["Reviews"]),
    ...reviewParts(product.review),
  ];
  if (product.recommended?.length) {
    parts.push(make("h2", {}, ["You may also like"]));
    const links = product.recommended.map((other) =>
      make("li", {}, [
        make("a", { href: `#/product/${other.id}` }, [`${other.name}, ${money(other.price)}`]),
      ]),
    );
    parts.push(make("ul", { className: "products" }, links));
  }
  return parts;
}

function reviewParts(review) {
  if (review.error) return [make("p", { className: "missing" }, [review.error])];
  noteServedBy("review", review.servedBy);
  return review.reviews.map(({ reviewer, text, rating }) =>
    make("blockquote", { className: "review" }, [
      make("p", {}, [text]),
      ...(rating ? [starsOf(rating)] : []),
      make("p", { className: "note" }, [reviewer]),
    ]),
  );
}

function starsOf({ stars, color }) {
  const text = "★".repeat(stars) + "☆".repeat(5 - stars);
  return make("span", { className: `stars ${color}`, role: "img", ariaLabel: `${stars} of 5 stars` }, [text]);
}

async function showCart() {
  if (!session) return [make("p", {}, ["Sign in to see your cart."])];
  const cart = await call("/cart");
  setCartCount(cart.items);
  if (cart.items.length === 0) return [make("p", {}, ["Your cart is empty."])];
  const order = make("button", { type: "button" }, ["Order now"]);
  order.addEventListener("click", () =>
    act(order, async () => {
      const placed = await call("/order/orders", {});
      for (const name of placed.through) noteServedBy(name.replace(/-[^-]*$/, ""), name);
      await countCart();
      location.hash = "#/orders";
    }),
  );
  const empty = make("button", { type: "button", className: "quiet" }, ["Empty the cart"]);
  empty.addEventListener("click", () =>
    act(empty, async () => {
      await call("/cart", undefined, "DELETE");
      await show();
    }),
  );
  return [make("h1", {}, ["Your cart"]), itemTable(cart), make("p", {}, [order, " ", empty])];
}

async function showOrders() {
  if (!session) return [make("p", {}, ["Sign in to see your orders."])];
  const { orders } = await call("/order/orders");
  if (orders.length === 0) return [make("p", {}, ["You have not ordered yet."])];
  return orders
    .toReversed()
    .flatMap((order) => [
      make("h2", {}, [`Order ${order.id.slice(0, 8)}`]),
      make("p", { className: "note" }, [`to ${order.shipTo}, through ${order.through.join(", ")}`]),
      itemTable(order),
    ]);
}

function itemTable({ items, total }) {
  const rows = items.map((item) => [item.name, item.quantity, money(item.price * item.quantity)]);
  const row = (cells, tag) =>
    make(
      "tr",
      {},
      cells.map((cell, column) => make(tag, { className: column === 0 ? "" : "number" }, [String(cell)])),
    );
  return make("table", {}, [
    make("thead", {}, [row(["Product", "Quantity", "Price"], "th")]),
    make(
      "tbody",
      {},
      rows.map((cells) => row(cells, "td")),
    ),
    make("tfoot", {}, [row(["Total", "", money(total)], "th")]),
  ]);
}

async function signIn(event) {
  event.preventDefault();
  const user = new FormData(event.target).get("user");
  await act(event.submitter, async () => {
    session = await call("/auth/login", { user, password: user.toLowerCase() });
    sessionStorage.setItem("session", JSON.stringify(session));
    showSession();
    await show();
  });
}

async function signOut() {
  session = undefined;
  sessionStorage.removeItem("session");
  showSession();
  await show();
}

function readSession() {
  const stored = sessionStorage.getItem("session");
  return stored ? JSON.parse(stored) : undefined;
}

function showSession() {
  document.querySelector("#sign-in").hidden = Boolean(session);
  document.querySelector("#signed-in").hidden = !session;
  document.querySelector("#user-name").textContent = session?.user ?? "";
  if (session) countCart().catch((error) => say(error.message, true));
  else setCartCount([]);
}

async function countCart() {
  setCartCount((await call("/cart")).items);
}

function setCartCount(items) {
  const count = items.reduce((sum, item) => sum + item.quantity, 0);
  const badge = document.querySelector("#cart-count");
  badge.hidden = count === 0;
  badge.textContent = `(${count})`;
}

/** A call through the gateway. `end-user` is what the A/B rules look at. */
async function call(path, body, method = body === undefined ? "GET" : "POST") {
  const headers = { accept: "application/json" };
  if (session) Object.assign(headers, { authorization: `Bearer ${session.token}`, "end-user": session.user });
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const service = response.headers.get("x-served-by");
  if (service) noteServedBy(service.replace(/-[^-]*$/, ""), service);
  const text = await response.text();
  const answer = response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : { error: text };
  if (response.ok) return answer;
  throw new Error(`${path}: ${response.status} ${answer.error || response.statusText}`);
}

function noteServedBy(service, name) {
  if (!name) return;
  servedBy.set(service, name);
  const items = [...servedBy.values()]
    .sort()
    .map((entry) => make("li", { className: entry.replace(/^.*-/, "") }, [entry]));
  document.querySelector("#served-by").replaceChildren(...items);
}

async function act(button, work) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    say(error.message, true);
  } finally {
    button.disabled = false;
  }
}

function say(text, isBad = false) {
  const message = document.querySelector("#message");
  message.hidden = text === "";
  message.textContent = text;
  message.className = isBad ? "bad" : "";
}

function money(cents) {
  return `€ ${(cents / 100).toFixed(2)}`;
}

/** Text goes in as text nodes only, so nothing that a service says can become markup. */
function make(tag, properties = {}, children = []) {
  const { role, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  if (role) element.setAttribute("role", role);
  element.append(...children);
  return element;
}
