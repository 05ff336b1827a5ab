// Ask a book with Files.com's own SDK: each question of standard input, a JSON array, is a line of standard output.
const Files = require('files.com/lib/Files').default;
const ApiRequestLog = require('files.com/lib/models/ApiRequestLog').default;

Files.setBaseUrl(process.env.BOOK_URL);
Files.setApiKey(process.env.BOOK_KEY);

const withDates = (name, value) => (/^\d{4}-\d\d-\d\dT/.test(value) ? new Date(value) : value);

const read = async () => {
  let text = '';
  for await (const part of process.stdin) text += part;
  for (const question of JSON.parse(text, withDates)) {
    try {
      const entries = await ApiRequestLog.list(question);
      console.log(JSON.stringify(entries.map((entry) => entry.attributes)));
    } catch (error) {
      console.log(JSON.stringify({ error: error.constructor.name, message: error.message }));
    }
  }
};

read();
