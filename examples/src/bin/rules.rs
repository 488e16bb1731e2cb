//! A rules engine over SQLite: a plugin decides on orders, and asks the database by two host functions. It can't ask anything
//! else, and change nothing.
//!
//! `cargo run --manifest-path examples/Cargo.toml --bin rules -- '{"customer": "Anna", "article": "lamp", "count": 2}'`;
//! a second argument names a database of your own, with the tables that `SCHEMA` makes.

use hostel::{Budget, Context, Grants, LogRecord, Trap, load_file};
use hostel_examples::plugin;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::{
    env,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

const SCHEMA: &str = "
    CREATE TABLE purchase (customer TEXT NOT NULL, cents INTEGER NOT NULL);
    CREATE INDEX of_customer ON purchase (customer);
    CREATE TABLE article (name TEXT PRIMARY KEY, stock INTEGER NOT NULL);
    INSERT INTO purchase VALUES ('Anna', 90000), ('Anna', 25000), ('Ben', 1200);
    INSERT INTO article VALUES ('lamp', 40), ('sofa', 2);";

const SPENT: &str = "SELECT min(sum(cents), 4294967295) FROM purchase WHERE customer = ?1";
const STOCK: &str = "SELECT stock FROM article WHERE name = ?1";

/// What one query is charged, in units of fuel: about what the guest would use in its time.
const QUERY: u64 = 20_000;

/// A database that host functions ask, one query at a time.
#[derive(Clone)]
struct Shop(Arc<Mutex<Connection>>);

impl Shop {
    fn open(file: Option<String>) -> rusqlite::Result<Self> {
        let connection = match file {
            Some(file) => Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            None => {
                let connection = Connection::open_in_memory()?;
                connection.execute_batch(SCHEMA)?;
                connection.pragma_update(None, "query_only", true)?;
                connection
            }
        };
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Asks for a number by a name. A guest's text is a parameter of the query, never a part of it.
    fn ask(
        &self,
        context: &mut Context<'_, ()>,
        sql: &str,
        name: &str,
    ) -> Result<Option<u32>, Trap> {
        context.charge(QUERY)?;
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = connection.prepare_cached(sql).and_then(|mut query| {
            let found: Option<Option<u32>> =
                query.query_row([name], |row| row.get(0)).optional()?;
            Ok(found.flatten())
        });
        // The guest is not told the cause: it may name what is in the database.
        asked.map_err(|error| {
            eprintln!("{sql}: {error}");
            Trap::host("the database can't be read")
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let order = arguments.next().ok_or("expected an order in JSON")?;
    let shop = Shop::open(arguments.next())?;
    let asked = shop.clone();
    let spent =
        move |context: &mut Context<'_, ()>, customer: &str| asked.ask(context, SPENT, customer);
    let stock =
        move |context: &mut Context<'_, ()>, article: &str| shop.ask(context, STOCK, article);
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| eprintln!("{record}"))
        .function("shop", "spent", spent)
        .function("shop", "stock", stock)
        .with_budget(Budget::server().with_fuel(1_000_000));
    let plugin = load_file(&hostel::engine(), plugin("discount"), &grants)?;
    let decision = plugin.process(order.as_bytes())?;
    println!("{}", String::from_utf8(decision)?);
    Ok(())
}
