-- Reads records. KEYS: the records.

local found = { integer(now) }
for index, key in ipairs(KEYS) do
  local record = read(key)
  found[index + 1] = { record.entry, integer(record.revision), record.doubt }
end
return found
