//! Lists of orders: every filter, in both orders, page by page.

use anyhow::Result;
use jetsaga::Token;
use readmodel::{Direction, OrderFilter, OrderRow, PageRequest, ReadModel, Status};

use crate::harness::{Place, Site, on_both};

on_both!(pages_put_together_are_the_whole_list);

async fn pages_put_together_are_the_whole_list(place: Place) -> Result<()> {
    let mut site = Site::new(place).await?;
    site.orders(150).await?;
    let store = site.store().await?;
    let runner = site.runner().await?;
    site.caught_up(&store).await?;
    let model = ReadModel::over(store);
    let mut all = pages(&model, &OrderFilter::default(), Direction::Oldest, 200).await?;
    assert_eq!(all.len(), 150);
    assert!(all.is_sorted_by_key(|order| (order.created_at, order.order_id.clone())));
    let middle = all.get(70).map(|order| order.created_at);
    let end = all.get(120).map(|order| order.created_at);
    let customer = all.get(3).map(|order| order.customer_id.clone());

    for order in [Direction::Oldest, Direction::Newest] {
        if order == Direction::Newest {
            all.reverse();
        }
        for status in [
            None,
            Some(Status::Completed),
            Some(Status::Cancelled),
            Some(Status::Stuck),
            Some(Status::Running),
        ] {
            for customer in [None, customer.clone()] {
                for (from, to) in [(None, None), (middle, None), (None, end), (middle, end)] {
                    let filter = OrderFilter {
                        status,
                        customer: customer.clone(),
                        from,
                        to,
                    };
                    let expected: Vec<&OrderRow> = all.iter().filter(|order| fits(&filter, order)).collect();
                    let found = pages(&model, &filter, order, 7).await?;
                    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
                }
            }
        }
    }
    let nobody = OrderFilter {
        customer: Some(Token::new("nobody")?),
        ..OrderFilter::default()
    };
    assert_eq!(pages(&model, &nobody, Direction::Newest, 7).await?, []);
    runner.stop().await
}

async fn pages(
    model: &ReadModel,
    filter: &OrderFilter,
    order: Direction,
    limit: u32,
) -> Result<Vec<OrderRow>> {
    let mut rows = Vec::new();
    let mut page = PageRequest {
        cursor: None,
        limit,
        order,
    };
    loop {
        let part = model.orders(filter, &page).await?;
        assert!(part.items.len() <= usize::try_from(limit)?);
        rows.extend(part.items);
        match part.next {
            Some(next) => page.cursor = Some(next.to_string().parse()?),
            None => return Ok(rows),
        }
    }
}

fn fits(filter: &OrderFilter, order: &OrderRow) -> bool {
    filter.status.is_none_or(|status| order.status == status)
        && filter
            .customer
            .as_ref()
            .is_none_or(|customer| order.customer_id == *customer)
        && filter.from.is_none_or(|from| order.created_at >= from)
        && filter.to.is_none_or(|to| order.created_at < to)
}
