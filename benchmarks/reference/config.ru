# Either server runs this: `rackup -s webrick config.ru`, `puma config.ru`.

require_relative "tracker"

run Tracker
