//! Children of a merge, whose other parent is younger than the listing, or has no row.

use super::desk::{Desk, F, id, is_beat, key};
use crate::core::event::Word;
use crate::core::fleet::steward::view::PAGE_AGE;
use crate::core::fleet::steward::words::News;
use crate::error::store::StoreErrorKind;
use crate::model::position::Position;

#[test]
fn a_merged_childs_other_parent_is_listed_first_if_it_is_younger_than_the_listing() {
    for has_left in [false, true] {
        let (mut desk, mut stream) = Desk::reading(2);
        let before = stream.listing();
        // Of the two shards the first was split, and one half was merged with the second since.
        stream.split(&id(0));
        stream.merge(&id(3));
        let end = Position::End { sequence: stream.shards[&id(1)].ending() };
        let epoch = desk.epoch(&id(1));
        desk.steward.ends_with(&id(1), epoch, &stream.children(&id(1)));
        desk.said();
        let listings = if has_left { vec![before.clone(), before] } else { vec![stream.listing()] };
        for listing in listings {
            let error = desk.commit(&id(1), &end).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Retry);
            assert!(desk.steward.take_news().contains(&News::ListingWanted));
            desk.steward.hears(desk.now, Word::Listed(listing));
        }
        desk.commit(&id(1), &end).unwrap();
        let has_row = |it| desk.table.row(&id(it)).is_some();
        assert_eq!((has_row(4), has_row(3)), (true, !has_left), "KCL would read the child at once");
    }
}

#[test]
fn at_a_stop_a_merged_child_does_not_wait_for_a_listing_unless_kcl_would_read_it() {
    for is_beside_kcl in [false, true] {
        let (mut desk, mut stream) = Desk::reading(3);
        stream.split(&id(1));
        stream.merge(&id(4));
        let end = Position::End { sequence: stream.shards[&id(2)].ending() };
        let epoch = desk.epoch(&id(2));
        desk.steward.ends_with(&id(2), epoch, &stream.children(&id(2)));
        if is_beside_kcl {
            desk.edit(&id(0), |row| {
                row.remove("kcHolder");
                row.insert("leaseOwner".to_owned(), "java".into());
            });
            desk.live(8);
        }
        desk.hears(Word::Stopping);
        assert_eq!(desk.commit(&id(2), &end).is_err(), is_beside_kcl);
        assert_eq!(desk.table.row(&id(5)).is_some(), !is_beside_kcl);
    }
}

#[test]
fn the_row_of_another_parent_that_was_deleted_comes_back_before_the_child() {
    let (mut desk, mut stream) = Desk::reading(2);
    stream.merge(&id(0));
    desk.list(&stream);
    desk.table.delete(&id(1));
    let beat = desk.until(|call| is_beat(call) && key(call) == Some(&id(1)));
    desk.answer(beat);
    assert_eq!(desk.stage(&id(1)), None);
    let end = Position::End { sequence: stream.shards[&id(0)].ending() };
    desk.commit(&id(0), &end).unwrap();
    assert!(desk.table.row(&id(1)).is_some(), "KCL would read the child without it");
}

/// A page may be older than a row that this process has created.
#[test]
fn a_row_that_was_created_stands_though_a_survey_does_not_show_it_yet() {
    let (mut desk, _) = Desk::reading(1);
    let row = desk.row(&id(0));
    let view = &mut desk.steward.view;
    view.created(row.clone(), F);
    view.surveyed(Vec::new(), std::iter::empty(), F + PAGE_AGE / 2);
    assert_eq!(view.rows(), [row], "the page may be from before");
    view.surveyed(Vec::new(), std::iter::empty(), F + PAGE_AGE);
    assert_eq!(view.rows(), [], "somebody has deleted it");
}
