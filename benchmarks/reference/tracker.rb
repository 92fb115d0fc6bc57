# The same four routes in Grape, as in the service that Headcount replaces.
# Written for the benchmark from recorded requests and responses; it is not that service's code.

require "grape"
require "securerandom"

# Reports in a Hash, each with the moment it expires; counted anew at each request.
class Reports
  DAY = 24 * 60 * 60
  DAYS = 7

  def initialize
    @lock = Mutex.new
    @kept = {}
  end

  def keep(id, version)
    expiry = (Time.now.to_i / DAY + 1 + DAYS) * DAY
    @lock.synchronize { @kept[id] = [version, expiry] }
  end

  def statistics
    live = versions
    {
      instances: live.size,
      versions: count(live, "app"),
      images: count(live, "image"),
      architectures: count(live, "arch")
    }
  end

  def count_live
    versions.size
  end

  # As many reports as `count`, each parsed from JSON like one that arrives.
  def fill(count)
    count.times do |number|
      app = "v0.#{100 + number % 400}.0"
      report = JSON.parse(
        %({"id": "#{SecureRandom.uuid}", "version": {"app": "#{app}", "sha": "3f1c0e9a",) +
        %("image": "ghcr.io/example/app", "arch": "x86_64"}})
      )
      keep(report["id"], report["version"])
    end
    GC.start
  end

  private

  def versions
    now = Time.now.to_i
    @lock.synchronize do
      @kept.delete_if { |_, (_, expiry)| expiry <= now }
      @kept.map { |_, (version, _)| version }
    end
  end

  def count(live, field)
    live.map { |version| version[field].to_s }.tally
  end
end

REPORTS = Reports.new
REPORTS.fill(ENV.fetch("FILL", "0").to_i)

class Tracker < Grape::API
  format :json

  params do
    requires :id, type: String
    requires :version, type: Hash do
      requires :app, type: String
      requires :sha, type: String
      optional :image, type: String
      optional :arch, type: String
    end
  end
  post "/" do
    REPORTS.keep(params[:id], params[:version].slice("app", "sha", "image", "arch").to_h)
    nil
  end

  get "/" do
    redirect "https://manyfold.app/sysadmin/tracking.html"
  end

  get "/stats" do
    REPORTS.statistics
  end

  get "/badge" do
    redirect "https://img.shields.io/badge/instances-#{REPORTS.count_live}-blue"
  end
end
