//! Statements that are sent to Trino: its rows as the result's file while they come.

use object_store::buffered::BufWriter;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

use super::select::unwritten;
use super::{Answer, Run};
use crate::error::{Error, Result};
use crate::result::csv_header;
use crate::trino::{Client, Column, Page, Trino, rows, write_row};
use crate::types::ColumnInfo;

/// `StatementType` and `SubstatementType`.
pub(super) fn kind(trino: &Trino) -> (&'static str, &'static str) {
    ("DML", if trino.explain { "EXPLAIN" } else { "SELECT" })
}

impl Run<'_> {
    /// A query, or an EXPLAIN.
    pub(super) async fn sent(&mut self, trino: &Trino, text: &str) -> Result<Answer> {
        let client = Client::new(trino)?;
        let text = text.trim_end().trim_end_matches(';');
        let first = client.begin(text, &self.job.database.to_lowercase()).await?;
        if trino.explain { self.sent_lines(&client, first).await } else { self.sent_rows(&client, first).await }
    }

    async fn sent_rows(&mut self, client: &Client<'_>, first: Page) -> Result<Answer> {
        let file = self.output()?.with_suffix(".csv");
        let store = self.storage.bucket(&file.bucket)?;
        let mut writer = BufWriter::with_capacity(store, file.path()?, 8 << 20);
        let (mut columns, mut text, mut count) = (None, String::new(), 0);
        let mut page = self.clocked(first);
        loop {
            if columns.is_none()
                && let Some(known) = page.columns()?
            {
                text = csv_header(&infos(&known));
                columns = Some(known);
            }
            for row in rows(&page, columns.as_deref().unwrap_or_default())? {
                write_row(&row, columns.as_deref().unwrap_or_default(), &mut text);
                count += 1;
            }
            if text.len() > 1 << 20 {
                if let Err(error) = writer.write_all(text.as_bytes()).await {
                    client.cancel(&page).await?;
                    return Err(unwritten(error));
                }
                text.clear();
            }
            match client.next(&page).await? {
                Some(next) => page = self.clocked(next),
                None => break,
            }
        }
        let columns = columns.ok_or_else(|| Error::internal("Trino has told no columns of the result"))?;
        let columns = infos(&columns);
        writer.write_all(text.as_bytes()).await.map_err(unwritten)?;
        let end = async { writer.shutdown().await.map_err(unwritten) };
        tokio::try_join!(end, self.write_metadata(&file, &columns))?;
        Ok(Answer::Csv { columns, rows: count })
    }

    async fn sent_lines(&mut self, client: &Client<'_>, first: Page) -> Result<Answer> {
        let (mut columns, mut lines) = (None, Vec::new());
        let mut page = self.clocked(first);
        loop {
            if columns.is_none() {
                columns = page.columns()?;
            }
            for value in page.data.iter().flatten() {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                lines.extend(text.lines().map(str::to_owned));
            }
            match client.next(&page).await? {
                Some(next) => page = self.clocked(next),
                None => break,
            }
        }
        let columns = infos(columns.as_deref().unwrap_or_default());
        lines.splice(0..0, columns.first().map(|column| column.name.clone()));
        Ok(Answer::Lines { columns, lines })
    }

    /// The figures of a page are the query's so far.
    fn clocked(&mut self, page: Page) -> Page {
        self.clock.planning = Duration::from_millis(page.stats.planning_time_millis);
        let more = page.stats.physical_input_bytes.saturating_sub(self.clock.scanned_elsewhere);
        self.clock.scanned_elsewhere += more;
        self.storage.scanned_elsewhere(more);
        page
    }
}

fn infos(columns: &[Column]) -> Vec<ColumnInfo> {
    columns.iter().map(Column::info).collect()
}
