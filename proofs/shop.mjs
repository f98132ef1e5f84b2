// A shop as many are: Express with express-session, and a CSRF token that is a cookie too. It is the one that
// tests/import/shop.har was recorded on, with what it counted at /count and an answer that is always compressed.
import { randomBytes, randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";
import express from "express";
import session from "express-session";

const counted = { pages: 0, logins: 0, refused: 0, orders: 0, paid: 0, compressed: 0, sessions: new Set() };
let drawn = 290_000;
const token = () => randomBytes(24).toString("base64url");

const shop = express();
shop.get("/count", (_, answer) => answer.json({ ...counted, sessions: counted.sessions.size }));
shop.get("/compressed", (_, answer) => {
  counted.compressed += 1;
  // Whatever the client says that it takes.
  answer.set({ "content-encoding": "gzip", "content-type": "application/json" });
  answer.send(gzipSync(JSON.stringify({ id: drawn, text: "a".repeat(2000) })));
});
shop.get(["/assets/a.css", "/assets/a.js"], (asked, answer) => {
  answer.type(asked.path.endsWith("css") ? "css" : "js").send("/* asset */");
});
shop.use(express.urlencoded({ extended: false }), express.json());
shop.use(session({ secret: "proof", resave: false, saveUninitialized: true }));

const fresh = (asked, answer) => {
  asked.session.csrf = token();
  answer.cookie("csrf", asked.session.csrf, { sameSite: "strict" });
  return asked.session.csrf;
};
const guarded = (asked, answer, next) => {
  const cookie = /(?:^|; )csrf=([^;]*)/.exec(asked.headers.cookie ?? "")?.[1];
  const sent = asked.headers["x-csrf-token"] ?? asked.body?._csrf;
  if (cookie && cookie === sent && cookie === asked.session.csrf) return next();
  counted.refused += 1;
  answer.status(403).send("csrf");
};
const known = (asked, answer, next) => {
  if (asked.session.user) return next();
  counted.refused += 1;
  answer.status(401).send("log in first");
};

shop.get("/", (_, answer) => {
  counted.pages += 1;
  answer.send("<a href=/login>log in</a>");
});
shop.get("/login", (asked, answer) => {
  answer.send(`<form method=post action=/login><input type=hidden name=_csrf value="${fresh(asked, answer)}"></form>`);
});
shop.post("/login", guarded, (asked, answer) => {
  if (asked.body.password !== "hunter2-shop") return answer.status(401).send("wrong password");
  const user = asked.body.user;
  asked.session.regenerate(() => {
    asked.session.user = user;
    counted.logins += 1;
    counted.sessions.add(asked.session.id);
    answer.redirect(303, "/shop");
  });
});
shop.get("/shop", known, (asked, answer) => {
  fresh(asked, answer);
  answer.send("<h1>shop</h1>");
});
shop.get("/api/items", known, (asked, answer) => {
  asked.session.items = [drawn++, drawn++, drawn++];
  answer.json({ items: asked.session.items.map((id) => ({ id })) });
});
shop.post("/api/cart", known, guarded, (asked, answer) => {
  if (!asked.session.items?.includes(asked.body.item)) return answer.status(400).send("item");
  asked.session.cart = randomUUID();
  answer.status(201).json({ cartId: asked.session.cart, total: 40 });
});
shop.post("/api/orders", known, guarded, (asked, answer) => {
  if (asked.body.cart !== asked.session.cart) return answer.status(400).send("cart");
  asked.session.order = { id: drawn++, receipt: randomBytes(12).toString("hex") };
  counted.orders += 1;
  answer.status(201).json(asked.session.order);
});
shop.get("/api/orders/:id", known, (asked, answer) => {
  const { order } = asked.session;
  if (String(order?.id) !== asked.params.id || order.receipt !== asked.query.receipt) {
    return answer.status(404).send("order");
  }
  counted.paid += 1;
  answer.json({ state: "paid" });
});

const served = shop.listen(0, "127.0.0.1", () => console.log(`port ${served.address().port}`));
