use std::io::Write;
use std::time::Duration;

use callweave::{BoxError, Error};
use serde_json::{Value, json};

/// A command as it came.
pub type Args = serde_json::Map<String, Value>;

/// What a command answers.
pub type Answer = Result<Value, Refusal>;

/// Prints a line.
pub fn print(line: Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Why a command was not done.
pub enum Refusal {
    /// As the client tells it.
    Client(Error),
    /// The program was told something that it does not know.
    Program(String),
}

impl Refusal {
    pub fn program(message: impl Into<String>) -> Self {
        Self::Program(message.into())
    }

    /// As the protocol writes it.
    pub fn told(&self) -> Value {
        match self {
            Self::Client(error) => told(error),
            Self::Program(message) => {
                json!({ "reason": "PROGRAM", "message": message, "metadata": {} })
            }
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

/// An error of the client as the protocol writes it.
pub fn told(error: &Error) -> Value {
    json!({ "reason": error.reason().as_str(), "message": error.message(), "metadata": error.metadata() })
}

/// Reports an error.
pub fn report(error: &BoxError, call: Option<&str>) {
    let mut line = match error.downcast_ref::<Error>() {
        Some(error) => told(error),
        None => json!({ "reason": "TRANSPORT", "message": error.to_string() }),
    };
    line["event"] = "error".into();
    if let Some(call) = call {
        line["call"] = call.into();
    }
    print(line);
}

pub fn text(args: &Args, name: &str) -> Option<String> {
    args.get(name)?.as_str().map(str::to_owned)
}

pub fn number(args: &Args, name: &str) -> Option<u64> {
    args.get(name)?.as_u64()
}

pub fn on(args: &Args, name: &str) -> Option<bool> {
    args.get(name)?.as_bool()
}

pub fn millis(args: &Args, name: &str) -> Option<Duration> {
    number(args, name).map(Duration::from_millis)
}

pub fn texts(args: &Args, name: &str) -> Vec<String> {
    let list = args.get(name).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

/// Whole or fractional milliseconds.
pub fn to_ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
