//! Questions to others that several here ask at the same time: one asks for all who wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What was answered last, and when it was asked.
type Answered<T> = tokio::sync::Mutex<Option<(Instant, T)>>;

/// Questions by name. One is under way for each name at a time, and an answer is kept only for as
/// long as somebody waits for it.
pub(crate) struct AskedOnce<T> {
    under_way: Mutex<HashMap<String, Arc<Answered<T>>>>,
}

impl<T> Default for AskedOnce<T> {
    fn default() -> Self {
        AskedOnce { under_way: Mutex::default() }
    }
}

impl<T> std::fmt::Debug for AskedOnce<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AskedOnce").field("under_way", &self.all().len()).finish()
    }
}

impl<T> AskedOnce<T> {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Answered<T>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> AskedOnce<T> {
    /// An answer to a question that was asked no earlier than this was called: somebody else's who
    /// came at the same time, or that of asking now. One that is under way already may have been
    /// answered by what was true before: it is waited for, and then one asks for all who do.
    pub(crate) async fn ask(&self, name: &str, ask: impl Future<Output = T>) -> T {
        let came = Instant::now();
        let place = Place::of(self, name);
        let mut last = place.answered.lock().await;
        if let Some((asked, answer)) = last.as_ref()
            && *asked >= came
        {
            return answer.clone();
        }
        let asked = Instant::now();
        let answer = ask.await;
        *last = Some((asked, answer.clone()));
        answer
    }
}

/// Somebody who waits for an answer or asks.
struct Place<'a, T> {
    all: &'a AskedOnce<T>,
    name: &'a str,
    answered: Arc<Answered<T>>,
}

impl<'a, T> Place<'a, T> {
    fn of(all: &'a AskedOnce<T>, name: &'a str) -> Self {
        let answered = all.all().entry(name.to_owned()).or_default().clone();
        Place { all, name, answered }
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        let mut all = self.all.all();
        // The list has one and we have one: nobody else waits.
        if Arc::strong_count(&self.answered) == 2 {
            all.remove(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AskedOnce;
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn those_who_come_while_one_asks_share_the_next_question() {
        let (asks, asked, go) = (AskedOnce::default(), AtomicUsize::new(0), Notify::new());
        let ask = |name: &'static str| {
            let (asked, go) = (&asked, &go);
            asks.ask(name, async move {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                number
            })
        };
        let let_go = async {
            for _ in 0..3 {
                // All have come that come now.
                yield_now().await;
                go.notify_one();
            }
        };
        let answers = tokio::join!(ask("a"), ask("a"), ask("a"), ask("b"), ask("a"), let_go);
        let (first, others) = (answers.0, [answers.1, answers.2, answers.4]);
        assert_eq!((first, answers.3), (0, 1));
        // None of them is told what was asked before it came.
        assert_eq!(others, [2, 2, 2]);
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        assert!(asks.all().is_empty(), "{asks:?}");
    }

    #[tokio::test]
    async fn who_goes_away_while_it_asks_leaves_it_to_the_next() {
        let asks = AskedOnce::default();
        let gone = asks.ask("a", pending::<u8>());
        tokio::select! {
            biased;
            _ = gone => unreachable!("it is never answered"),
            () = yield_now() => {}
        }
        assert_eq!(asks.ask("a", async { 2 }).await, 2);
        assert!(asks.all().is_empty(), "{asks:?}");
    }
}
