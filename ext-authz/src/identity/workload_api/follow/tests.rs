//! How often an agent is called, in time that the test moves.

use std::{cell::RefCell, future::ready};

use futures_util::stream;

use super::*;

/// What the agent does with each call.
type Answer = Result<Vec<Result<u32, Status>>, Failure>;

/// Calls an agent for `window` of time that passes at once; how often it was called, and what was told.
async fn called(window: Duration, mut answer: impl FnMut(usize) -> Answer) -> (usize, Vec<News<u32>>) {
    let (calls, told) = (RefCell::new(0), RefCell::new(Vec::new()));
    let open = || {
        *calls.borrow_mut() += 1;
        // Without a delay, no time would pass and no window end.
        assert!(*calls.borrow() < 10_000, "called in a circle");
        ready(answer(*calls.borrow()).map(stream::iter))
    };
    let follow = follow(open, || 0, |news| told.borrow_mut().push(news));
    assert!(timeout_at(Instant::now() + window, follow).await.is_err(), "it never ends by itself");
    let calls = *calls.borrow();
    (calls, told.into_inner())
}

/// Less a little, so that no call falls on its end.
const MINUTE: Duration = Duration::from_millis(59_900);

#[tokio::test(start_paused = true)]
async fn an_agent_that_closes_every_stream_at_once_is_not_called_in_a_circle() {
    // At 0, 0, 1, 3, 6, 10, 15, 21, 28, 36, 45, 55 seconds.
    let (calls, told) = called(MINUTE, |_| Ok(Vec::new())).await;
    assert_eq!(calls, 12);
    assert_eq!(told.len(), 12);
    // Then every 30 seconds.
    let (calls, _) = called(MINUTE * 60, |_| Ok(Vec::new())).await;
    assert!((120..150).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_answers_and_closes_at_once_is_called_once_a_second() {
    let (calls, _) = called(MINUTE, |_| Ok(vec![Ok(1)])).await;
    assert_eq!(calls, 60);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_not_there_or_denies_is_called_less_and_less_and_one_that_refuses_the_call_hardly() {
    let (calls, _) = called(MINUTE, |_| Err(Failure::closed())).await;
    assert_eq!(calls, 12);
    let (calls, _) = called(MINUTE, |_| Ok(vec![Err(Status::permission_denied("no identity issued"))])).await;
    // At 0, 1, 2, 4, 7, 11, 16, 22, 29, 37, 46, 56 seconds.
    assert_eq!(calls, 12);
    for status in [Status::unimplemented("x"), Status::invalid_argument("x")] {
        let (calls, told) = called(MINUTE * 60, |_| Ok(vec![Err(status.clone())])).await;
        assert_eq!(calls, 12);
        assert!(matches!(&told[..1], [News::Ended { failure: Failure::Rejected { .. }, .. }]), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_message_is_told_and_a_good_stream_is_opened_again_at_once() {
    let waits = |call: usize| {
        let messages = stream::iter([Ok(1), Ok(2)]);
        let rest = stream::once(async move {
            // The third one stays open.
            let lasts = if call < 3 { MINUTE } else { MINUTE * 1000 };
            sleep(lasts).await;
            Err(Status::unavailable("going down"))
        });
        messages.chain(rest).boxed()
    };
    let (mut calls, told) = (0, RefCell::new(Vec::new()));
    let open = || {
        calls += 1;
        ready(Ok(waits(calls)))
    };
    let follow = follow(open, || 0, |news: News<u32>| told.borrow_mut().push(news));
    assert!(timeout_at(Instant::now() + MINUTE * 2 + Duration::from_secs(1), follow).await.is_err());
    let told = told.into_inner();
    let messages = told.iter().filter(|news| matches!(news, News::Message(_))).count();
    let at_once = |news: &&News<u32>| matches!(news, News::Ended { retry_in: Duration::ZERO, .. });
    assert_eq!((messages, told.iter().filter(at_once).count()), (6, 2), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_takes_the_call_and_says_nothing_is_called_again() {
    let calls = RefCell::new(0);
    let open = || {
        *calls.borrow_mut() += 1;
        ready(Ok(stream::pending::<Result<u32, Status>>()))
    };
    let follow = follow(open, || 0, |_| ());
    assert!(timeout_at(Instant::now() + MINUTE * 2, follow).await.is_err());
    assert_eq!(*calls.borrow(), 4);
}
